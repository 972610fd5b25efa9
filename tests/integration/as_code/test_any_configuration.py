"""Any valid configuration that is applied comes out of the database again as it was."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.as_code.applying import apply
from domain.as_code.documents import Document, Entry
from domain.as_code.fields import FIELDS
from domain.as_code.present import read_present
from domain.as_code.writing import write_document
from domain.audit import Actor
from domain.limit_texts import LimitSpec

ACTOR = Actor(name="property")
SLUGS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
MICRO = st.integers(0, 10**15)
UNITS = st.integers(0, 10**9)
PATHS = st.sampled_from(["/", "/a", "/a/", "/a/{x}", "/a/{x}/b", "/files/*", "/%20/~;b=c", "/true"])
METHODS = st.sampled_from(["GET", "POST", "*", "M-SEARCH"])


@st.composite
def values_of(draw, kind, plans):
    """A value for every field that needs no care."""
    values = {}
    for field in FIELDS[kind]:
        if field.kind == "flag":
            values[field.name] = draw(st.booleans())
        elif field.kind == "number":
            values[field.name] = draw(st.integers(field.least, field.most))
        elif field.kind == "plan":
            values[field.name] = draw(st.sampled_from([None, *plans]))
        elif field.kind == "credits":
            values[field.name] = draw(MICRO)
        else:
            values[field.name] = draw(st.sampled_from(field.choices) if field.choices else TEXTS)
    values["name"] = draw(NAMES)
    return values


@st.composite
def services_of(draw, plans):
    entries = []
    for slug in draw(st.lists(SLUGS, unique=True, max_size=2)):
        values = draw(values_of("service", plans))
        values |= {
            "prefix": f"/s/{slug}",
            "upstreams": tuple(draw(st.lists(st.sampled_from(["http://a:1", "https://b/c weight=7", "http://[::1]"]), min_size=1, unique=True))),
            "cors_origins": tuple(draw(st.lists(TEXTS, unique=True, max_size=3))),
        }  # fmt: skip
        entries.append(Entry(("service", slug), values=values))
        for method, path in draw(st.lists(st.tuples(METHODS, PATHS), unique=True, max_size=4)):
            own = draw(values_of("operation", plans))
            own["name"] = f"{own['name']}{len(entries)}"
            own["cost_formula"] = draw(st.sampled_from(["", "0.01 * query.n ? 1"])) if own["price"] else ""
            entries.append(Entry(("operation", slug, f"{method} {path}"), values=own))
    return entries


@st.composite
def limits_of(draw, targets, *, quota):
    periods = ["day", "month"] if quota else ["second", "minute", "hour", "day", "month", "concurrent"]
    service, operation = draw(st.sampled_from([(None, None), *targets]))
    scope = "organization" if quota else draw(st.sampled_from(["organization", "key"]))
    amount = draw(st.integers(1, 10**15))
    period = draw(st.sampled_from(periods))
    return LimitSpec("", amount, period, scope, service=service, operation=operation).text


@st.composite
def documents(draw):
    plans = draw(st.lists(SLUGS, unique=True, max_size=3))
    below = draw(services_of(plans))
    operations = [entry for entry in below if entry.id[0] == "operation"]
    targets = [(entry.id[1], None) for entry in below] + [(each.id[1], each.values["name"]) for each in operations]
    entries = []
    for slug in plans:
        values = draw(values_of("plan", plans))
        names = draw(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,10}", fullmatch=True), unique=True, max_size=6))
        parts = {"limits": {}, "shadow_limits": {}, "quotas": {}, "shadow_quotas": {}}
        for name in names:
            field = draw(st.sampled_from(sorted(parts)))
            parts[field][name] = draw(limits_of(targets, quota=field.endswith("quotas")))
        priced = (
            draw(st.lists(st.sampled_from(operations), unique_by=lambda each: each.id, max_size=3))
            if operations
            else []
        )
        amounts = st.sampled_from([[None, 5], [7, None], [0, 0], [123_456_789, 1]])
        values |= parts | {
            "currency": draw(st.sampled_from(["USD", "NOK"])),
            "trial_calls": draw(st.none() | st.integers(1, 10**15)) if values["trial_days"] <= 28 else None,
            "prices": {f"{each.id[1]} {each.id[2]}": draw(amounts) for each in priced},
        }
        entries.append(Entry(("plan", slug), values=values))
    return Document({entry.id: entry for entry in (*entries, *below)})


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(document=documents())
async def test_any_configuration_comes_back_as_it_was_applied(empty, document):
    """And applied over itself it makes no difference."""
    outer = empty.transaction()
    await outer.start()
    try:
        text = write_document(document)
        outcome = await apply(empty, text, ACTOR)
        assert len(outcome.differences.changes) == len(document.entries)
        present = await read_present(empty)
        assert {key: entry.values for key, entry in present.entries.items()} == {
            key: entry.values for key, entry in document.entries.items()
        }
        assert (await apply(empty, write_document(present), ACTOR)).differences.changes == ()
    finally:
        await outer.rollback()
