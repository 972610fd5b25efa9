"""What is wrong in a file is named with line and column, all of it at once."""

import pytest

from domain.as_code.mistakes import MOST, Mistaken
from domain.as_code.parsing import parse_document


def mistakes(text: str) -> list[str]:
    with pytest.raises(Mistaken) as found:
        parse_document(text)
    return [str(each) for each in found.value.mistakes]


def test_typos_wrong_values_and_duplicates_are_all_named():
    text = """plans:
  free:
    nmae: Free
    price_cents: 12.50
    limits: {hour: 1000/fortnight, day: 5/day}
    shadow_limits: {day: 6/day}
    overage: blok
    active: yes
  free: {}
  Bad_Slug: {}
service: {}
"""
    assert [each.partition(". ")[0] for each in mistakes(text)] == [
        "3:5: A plan has no nmae",
        "4:18: price_cents is a whole number from 0 to 1000000000000.",
        "5:20: 'hour=1000/fortnight' is no limit: write AMOUNT/PERIOD, such as 1000/hour (second, minute, hour, day or month), or AMOUNT concurrent, then perhaps: per key, on SERVICE:OPERATION.",
        "6:21: The plan has a limit day in limits too; a plan has one of each name.",
        "7:14: overage is block or credits",
        "8:13: active is true or false.",
        "9:3: free stands here twice; first in line 2.",
        "10:3: 'Bad_Slug' is no slug: lower-case letters, digits and hyphens, at most 63, not a hyphen first.",
        "11:1: A file has no service; it has version, exported_state, plans, services, operators",
    ]  # fmt: skip
    assert mistakes(text)[0].endswith("Did you mean name?")
    assert mistakes(text)[-1].endswith("Did you mean services?")


def test_services_and_operations_are_looked_at_value_by_value():
    text = """services:
  a:
    upstreams: [ftp://x]
    prefix: /api
    cors_origins: x
    operations:
      GET: {}
      GET /a/{x}: {}
      get /a/{y}: {price: .5, rseerved: true}
"""
    assert mistakes(text) == [
        "3:16: 'ftp://x' must begin with http:// or https://.",
        "4:13: '/api': the gateway keeps /health, /ready, /metrics, /user, /api, /errors, /callbacks for itself.",
        "5:19: cors_origins is a list of texts: write [] for none.",
        "7:7: 'GET' is no operation: write a method and a path, such as GET /items/{id}.",
        "9:7: GET /a/{y} matches the same requests as GET /a/{x}.",
        "9:27: '.5' is no amount of credits: write 0.1, with at most six decimals and no sign, not over 1000000000.",
        "9:31: An operation has no rseerved. Did you mean reserved?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x", "1:4: Anchors are not read"),
        ("a: *x", "1:4: Aliases are not read"),
        ("plans: [1, 2", "2:1: This is no YAML"),
        ("plans:\n\t- x", "2:1: This is no YAML"),
        ("plans: !!python/object/apply:os.system [x]", "1:8: The tag"),
        ("a: 1\n---\nb: 2", "3:1: A file is one document"),
        ("[" * 100_000, "1:65: This is nested"),
        ("x: \x00", "1:1: This is no YAML"),
        ("? [a]\n: b", "1:3: A name is a text"),
        ("#" * (5 * 1024 * 1024 + 1), "1:1: The file is larger"),
        ("- a", "1:1: The file is a mapping"),
        ("version: 2", "1:10: The version of this format is 1."),
        ('plans: {free: {name: "\\0"}}', "1:22: name: A text holds no zero"),
        ("plans: {free: {limits: [1/hour]}}", "1:24: limits is a mapping"),
        ("plans: {free: {prices: {demo: {GET /x: {prise: 1}}}}}", "1:41: A price has no prise. Did you mean price?"),
    ],
)
def test_what_is_no_configuration_is_refused_at_its_place(text, said):
    assert mistakes(text)[0].startswith(said)


def test_an_empty_file_says_nothing():
    assert parse_document("").entries == {}


def test_what_is_left_empty_is_no_null_of_a_text():
    document = parse_document("plans: {a: {description: , trial_calls: , currency: NOK}, no: }")
    assert document.entries["plan", "a"].values == {"description": "", "trial_calls": None, "currency": "NOK"}
    assert document.entries["plan", "no"].values == {}


def test_a_file_of_nothing_but_mistakes_is_given_up_soon():
    text = "plans: {free: {" + ",".join(f"typo{number}" for number in range(5_000)) + "}}"
    assert len(mistakes(text)) == MOST
    assert len(mistakes("plans: {" + "a," * 5_000 + "}")) == MOST
