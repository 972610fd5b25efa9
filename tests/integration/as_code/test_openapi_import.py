"""A spec of many operations becomes a service, and what changes in it is shown when it is imported again."""

import json

import pytest
import yaml

from domain.as_code.differences import CHANGED, CREATED, DISABLED
from domain.as_code.history import list_applied
from domain.as_code.openapi_importing import import_spec
from domain.as_code.present import read_present
from domain.faults import InvalidValue
from portal.api.openapi import document as portal_document

ODD = (
    "/files/{path*}",
    "/export/{name}.csv",
    "/jobs/{job-id}:cancel",
    "/",
    "/\u00e4 b",
    "/{1st}/{2nd}",
    "/a/{x}/b/{x}",
)


def many() -> dict:
    paths = {}
    for number in range(40):
        paths[f"/things{number}"] = {
            "summary": "x",
            "parameters": [{"name": "q", "in": "query"}],
            "get": {"operationId": f"listThings{number}", "x-credits": number / 8, "responses": {"200": {"description": "ok"}}},
            "post": {"operationId": f"makeThing{number}", "callbacks": {"x": {"{$request.body#/url}": {"post": {}}}}},
        }  # fmt: skip
        paths[f"/things{number}/{{thing-id}}"] = {
            "x-credits": "0.01",
            "get": {},
            "delete": {"deprecated": True},
            "trace": {},
        }
    for template in ODD:
        paths[template] = {"get": {"tags": ["odd"], "operationId": f"odd {template}"}, "head": None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Many things", "version": "2.0.0", "description": "First line\nof it.\n\nSecond paragraph."},
        "servers": [{"url": "https://things.example/base"}],
        "paths": paths,
        "webhooks": {"x": {"post": {}}},
    }


async def test_a_spec_of_many_operations_becomes_a_service(empty, actor):
    made = await import_spec(empty, "things", json.dumps(many()), actor, price_micro=2_000)
    assert {change.how for change in made.outcome.differences.changes} == {CREATED}
    present = (await read_present(empty)).entries
    assert len(present) == 1 + 40 * 5 + len(ODD)
    service = present["service", "things"].values
    assert (service["name"], service["description"], service["version"]) == (
        "Many things",
        "First line of it.",
        "2.0.0",
    )
    assert (service["prefix"], service["upstreams"]) == ("/things", ("https://things.example/base",))
    of = {key[2]: entry.values for key, entry in present.items() if key[0] == "operation"}
    assert (of["GET /things4"]["name"], of["GET /things4"]["price"]) == ("listThings4", 500_000)
    assert of["POST /things4"]["price"] == 2_000
    assert (of["TRACE /things4/{thing_id}"]["name"], of["TRACE /things4/{thing_id}"]["price"]) == (
        "TRACE /things4/{thing_id}",
        10_000,
    )
    assert {
        "GET /files/*",
        "GET /export/{name}",
        "GET /jobs/{job_id}",
        "GET /",
        "GET /%C3%A4%20b",
        "GET /{_1st}/{_2nd}",
        "GET /a/{x}/b/{x_2}",
    } <= of.keys()
    assert len(made.notes) == 2


async def test_a_second_import_changes_nothing_and_a_changed_spec_is_shown(empty, actor):
    spec = many()
    await import_spec(empty, "things", yaml.safe_dump(spec), actor, price_micro=2_000)
    assert (await import_spec(empty, "things", json.dumps(spec), actor)).outcome.differences.changes == ()
    spec["paths"]["/new"] = {"get": {"x-credits": 1}}
    spec["paths"]["/things3"]["get"]["x-credits"] = 9
    del spec["paths"]["/things4"]["post"]
    spec["paths"]["/things5/{other}"] = spec["paths"].pop("/things5/{thing-id}")
    tried = (await import_spec(empty, "things", json.dumps(spec), actor, dry_run=True)).outcome.differences
    assert [(change.how, change.id[-1]) for change in tried.changes] == [
        (CHANGED, "GET /things3"),
        (CREATED, "GET /new"),
    ]
    assert [(each.field, each.before, each.after) for each in tried.changes[0].fields] == [("price", "0.375", "9")]
    assert tried.left_alone == (("operation", "things", "POST /things4"),)
    assert len(await list_applied(empty)) == 2
    done = (await import_spec(empty, "things", json.dumps(spec), actor, prune=True)).outcome.differences
    assert (DISABLED, "POST /things4") in [
        (DISABLED, each.id[-1]) for each in done.changes if each.values == {"enabled": False}
    ]
    assert (await read_present(empty)).entries["operation", "things", "POST /things4"].values["enabled"] is False
    assert (await import_spec(empty, "things", json.dumps(spec), actor, prune=True)).outcome.differences.changes == ()


async def test_our_own_api_can_be_sold(lived_in, actor):
    document = portal_document()
    made = await import_spec(
        lived_in, "portal", json.dumps(document), actor, prefix="/account", upstreams=("http://127.0.0.1:3000",)
    )
    count = sum(len(item) for item in document["paths"].values())
    assert len([change for change in made.outcome.differences.changes if change.id[0] == "operation"]) == count > 50
    assert made.notes == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "Give --upstream"), ({"upstreams": ("ftp://x",)}, "must begin with http"), ({"upstreams": ("http://a",), "prefix": "/proxy"}, "The service demo has the prefix")],
)  # fmt: skip
async def test_what_a_service_cannot_be_is_refused(lived_in, actor, options, said):
    with pytest.raises(InvalidValue, match=said):
        await import_spec(lived_in, "x", json.dumps({"openapi": "3.0.0", "paths": {}}), actor, **options)
    assert await lived_in.fetchval("select count(*) from service where slug = 'x'") == 0
