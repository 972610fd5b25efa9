"""Asynchronous operations as code: declared in the file, exported, told when they cannot be, left alone by imports."""

import json

import pytest

from domain import operations, services
from domain.as_code.applying import apply, export
from domain.as_code.editor_schema import editor_schema
from domain.as_code.mistakes import Mistaken
from domain.as_code.openapi_importing import import_spec

FILE = """
version: 1
services:
  reports:
    prefix: /reports
    upstreams: [http://127.0.0.1:9]
    job_concurrency: 4
    job_timeout_seconds: 900
    operations:
      POST /seasons/{city}: {name: season, price: 2, asynchronous: true}
      GET /seasons: {name: list, price: 0}
"""
SPEC = json.dumps(
    {
        "openapi": "3.1.0", "info": {"title": "Reports", "version": "2"},
        "paths": {"/seasons/{place}": {"post": {"operationId": "newSeason", "x-credits": 3}}, "/new": {"get": {}}},
    }
)  # fmt: skip


async def asynchronous(connection) -> dict[str, bool]:
    """By method and path."""
    found = await operations.list_operations(connection, service_slug="reports")
    return {f"{each.method} {each.path_pattern}": each.asynchronous for each in found}


async def test_a_file_declares_them_and_the_same_comes_out_again(empty, actor):
    await apply(empty, FILE, actor)
    assert await asynchronous(empty) == {"POST /seasons/{city}": True, "GET /seasons": False}
    service = await services.fetch_service(empty, "reports")
    assert (service.job_concurrency, service.job_timeout_seconds) == (4, 900)
    text = await export(empty)
    for line in ("job_concurrency: 4", "job_timeout_seconds: 900", "asynchronous: true"):
        assert line in text
    assert (await apply(empty, text, actor, dry_run=True)).differences.changes == ()
    changed = (await apply(empty, text.replace("asynchronous: true", "asynchronous: false"), actor)).differences
    [change] = changed.changes
    assert [(each.field, each.before, each.after) for each in change.fields] == [("asynchronous", "true", "false")]


async def test_the_callback_secret_is_not_in_the_file(empty, actor):
    await apply(empty, FILE, actor)
    await empty.execute("update service set callback_secret = 'sealed' where slug = 'reports'")
    assert "secret" not in (await export(empty)).lower()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (FILE.replace("job_timeout_seconds: 900", "job_timeout_seconds: 0"), "job_timeout_seconds"),
        (FILE.replace("job_timeout_seconds: 900", "job_timeout_seconds: 604801"), "job_timeout_seconds"),
        (FILE.replace("job_concurrency: 4", "job_concurrency: -1"), "job_concurrency"),
        (FILE.replace("asynchronous: true", "asynchronous: maybe"), "asynchronous"),
        (FILE.replace("asynchronous: true", "asynchronous: true, cost_formula: 0.1 * answer.bytes"), "answer"),
        (FILE.replace("asynchronous", "asyncronous"), "Did you mean asynchronous?"),
    ],
    ids=["no time", "too long", "negative", "no flag", "price of the answer", "typo"],
)
async def test_what_cannot_be_is_told_and_nothing_is_changed(empty, actor, wrong, said):
    with pytest.raises(Mistaken) as told:
        await apply(empty, wrong, actor)
    assert said in "\n".join(mistake.text for mistake in told.value.mistakes)
    assert await services.list_services(empty) == []


async def test_an_import_of_an_openapi_file_leaves_them_as_they_are(empty, actor):
    await apply(empty, FILE, actor)
    await import_spec(empty, "reports", SPEC, actor)
    assert await asynchronous(empty) == {"POST /seasons/{city}": True, "GET /seasons": False, "GET /new": False}
    service = await services.fetch_service(empty, "reports")
    assert (service.version, service.job_concurrency, service.job_timeout_seconds) == ("2", 4, 900)


def test_editors_know_the_fields():
    text = json.dumps(editor_schema())
    for name in ("job_concurrency", "job_timeout_seconds", "asynchronous"):
        assert f'"{name}"' in text
