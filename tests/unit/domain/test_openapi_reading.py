"""What an OpenAPI description becomes: paths, names, prices, and what is said where something does not fit."""

import json

import pytest

from domain.as_code.openapi_paths import pattern_of
from domain.as_code.openapi_reading import read_spec
from domain.faults import InvalidValue


def spec_of(paths, **more) -> str:
    return json.dumps({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths, **more})


@pytest.mark.parametrize(
    ("template", "pattern", "broader"),
    [
        ("/", "/", False),
        ("/items/{id}", "/items/{id}", False),
        ("/items/", "/items/", False),
        ("/users/{user-id}/keys/{key.id}", "/users/{user_id}/keys/{key_id}", False),
        ("/{1st}", "/{_1st}", False),
        ("/{}", "/{part}", False),
        ("/{a}/x/{a}", "/{a}/x/{a_2}", False),
        ("/files/{name}.json", "/files/{name}", True),
        ("/pairs/{a},{b}", "/pairs/{a_b}", True),
        ("/jobs/{id}:cancel", "/jobs/{id}", True),
        ("/files/{path*}", "/files/*", False),
        ("/files/{+path}", "/files/*", False),
        ("/{path*}/x", "/{path}/x", False),
        ("/a b/\u00e4", "/a%20b/%C3%A4", False),
        ("/a%7Eb", "/a~b", False),
        ("/{'a'}", "/{a}", False),
    ],
)
def test_a_template_becomes_a_pattern(template, pattern, broader):
    assert pattern_of(template) == (pattern, broader)


@pytest.mark.parametrize(
    "template", ["items", "", "/?Action=List", "/a#b", "/a//b", "/a/../b", "/a%2Fb", "/" + "a" * 2000]
)
def test_what_no_pattern_matches_is_refused(template):
    with pytest.raises(InvalidValue):
        pattern_of(template)


def test_the_nearest_price_holds_and_names_are_unique():
    spec = read_spec(
        spec_of(
            {
                "/a": {"x-credits": 0.5, "get": {"operationId": "one"}, "post": {"x-credits": "0.000001", "operationId": "one"}},
                "/b": {"get": {}, "parameters": [], "delete": {"x-credits": 0}},
            },
            **{"x-credits": 3},
        )
    )  # fmt: skip
    assert [(each.key, each.name, each.price_micro) for each in spec.operations] == [
        ("GET /a", "one", 500_000),
        ("POST /a", None, 1),
        ("GET /b", None, 3_000_000),
        ("DELETE /b", None, 0),
    ]
    assert spec.notes == ["POST /a: named after its path, another operation is named one."]


def test_what_is_left_out_or_widened_is_said():
    spec = read_spec(
        spec_of(
            {
                "/a/{x}": {"get": {}},
                "/a/{y}": {"get": {}, "put": {}},
                "/f/{n}.csv": {"get": {"operationId": "x\ny"}},
                "/?q": {"get": {}},
                "/ref": {"$ref": "#/components/pathItems/r~1x"},
                "/far": {"$ref": "https://example.com/x.yaml"},
                "/circle": {"$ref": "#/paths/~1circle"},
                "x-own": {"get": {}},
            },
            components={"pathItems": {"r/x": {"patch": {}}}},
        )
    )
    assert [each.key for each in spec.operations] == ["GET /a/{x}", "PUT /a/{y}", "GET /f/{n}", "PATCH /ref"]
    assert [note.partition(":")[0] for note in spec.notes] == [
        "GET /a/{y}",
        "/f/{n}.csv",
        "GET /f/{n}",
        "/?q",
        "/far",
        "/circle",
    ]


def test_yaml_is_read_like_json():
    spec = read_spec(
        "openapi: 3.0.3\ninfo: {title: Yes, version: 1.10}\nservers: [{url: 'https://a.example/v1'}]\npaths:\n  /a:\n    get: {x-credits: 0.1}\n"
    )
    assert (spec.title, spec.version, spec.server, spec.operations[0].price_micro) == (
        "Yes",
        "1.10",
        "https://a.example/v1",
        100_000,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"swagger": "2.0"}', "This is Swagger 2.0"),
        ('{"openapi": "4.0.0"}', "no OpenAPI description"),
        ("[]", "no OpenAPI description"),
        ('{"openapi": "3.1.0", ', "no YAML"),
        ('{"a":' * 50_000, "levels deep"),
        (spec_of({"/a": {"get": {"x-credits": -1}}}), "GET /a: x-credits"),
        (spec_of({f"/{number}": {"get": {}} for number in range(5_001)}), "at most 5000"),
    ],
)
def test_what_is_no_usable_spec_is_refused(text, said):
    with pytest.raises(InvalidValue, match=said):
        read_spec(text)


@pytest.mark.parametrize(
    "odd", [None, [], "x", 5, {"/a": None}, {"/a": []}, {"/a": {"get": None}}, {"/a": {"get": []}}]
)
def test_odd_shapes_of_paths_are_no_error(odd):
    assert read_spec(spec_of(odd)).operations == []
