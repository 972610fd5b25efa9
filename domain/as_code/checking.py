"""What a file and the database must agree about: what is referred to is there, and nothing has one place twice."""

from domain.as_code.documents import Document, Entry, Id
from domain.as_code.fields import LIMIT_FIELDS, REQUIRED
from domain.as_code.mistakes import Mistake, Mistakes, Place, did_you_mean
from domain.as_code.parsing import shape_of
from domain.as_code.values import limit_of
from domain.limit_texts import LimitSpec


def mistakes_of(document: Document, present: Document) -> list[Mistake]:
    """Everything that cannot be, with the place in the file."""
    both = {**present.entries, **document.entries}
    names = _operation_names(document, present)
    found = Mistakes()
    for entry in document.entries.values():
        before = present.entries.get(entry.id)
        if before is None:
            for name in REQUIRED[entry.id[0]]:
                if name not in entry.values:
                    found.append(Mistake(entry.place, f"The new {entry.id[0]} {entry.id[-1]} needs {name}."))
        _check_plan_named(entry, both, found)
        if entry.id[0] == "plan":
            _check_limits(entry, before, both, names, found)
            _check_prices(entry, both, found)
            _check_currency(entry, before, found)
    _check_prefixes(document, present, found)
    _check_shapes(document, present, found)
    return found


def _slugs(kind: str, both: dict[Id, Entry]) -> list[str]:
    return [entry_id[1] for entry_id in both if entry_id[0] == kind]


def _check_plan_named(entry: Entry, both: dict[Id, Entry], found: list[Mistake]) -> None:
    slug = entry.values.get("minimum_plan")
    if slug is not None and ("plan", slug) not in both:
        hint = did_you_mean(slug, _slugs("plan", both))
        found.append(Mistake(entry.place_of("minimum_plan"), f"There is no plan {slug}.{hint}"))


def _check_limits(
    entry: Entry, before: Entry | None, both: dict[Id, Entry], names: dict[str, set[str]], found: list[Mistake]
) -> None:
    seen: dict[str, str] = {}
    for field in LIMIT_FIELDS:
        if before and field not in entry.values:
            seen.update(dict.fromkeys(before.values[field], field))
    for field in LIMIT_FIELDS:
        for name, text in entry.values.get(field, {}).items():
            place = entry.place_of(f"{field}.{name}", field)
            if seen.setdefault(name, field) != field:
                found.append(Mistake(place, f"The plan has a limit {name} in {seen[name]} too."))
            spec = limit_of(field, name, text)
            if spec.service is not None and ("service", spec.service) not in both:
                hint = did_you_mean(spec.service, _slugs("service", both))
                found.append(Mistake(place, f"There is no service {spec.service}, which the limit is on.{hint}"))
            elif spec.operation is not None:
                _check_operation_named(spec, place, names, found)


def _check_operation_named(spec: LimitSpec, place: Place, names: dict[str, set[str]], found: list[Mistake]) -> None:
    service, operation = str(spec.service), str(spec.operation)
    if operation not in names.get(service, ()):
        sentence = f"The service {service} has no operation {operation}, which the limit is on."
        found.append(Mistake(place, sentence + did_you_mean(operation, sorted(names.get(service, ())))))


def _operation_names(document: Document, present: Document) -> dict[str, set[str]]:
    """The names that the operations of each service will have."""
    names: dict[str, set[str]] = {}
    for entry_id, entry in {**present.entries, **document.entries}.items():
        if entry_id[0] == "operation":
            before = present.entries.get(entry_id)
            name = entry.values.get("name") or (before.values["name"] if before else entry_id[2][:120])
            names.setdefault(entry_id[1], set()).add(name)
    return names


def _check_prices(entry: Entry, both: dict[Id, Entry], found: list[Mistake]) -> None:
    keys = [f"{entry_id[1]} {entry_id[2]}" for entry_id in both if entry_id[0] == "operation"]
    known = set(keys)
    for key in entry.values.get("prices", ()):
        if key not in known:
            place = entry.place_of(f"prices.{key}")
            found.append(Mistake(place, f"There is no operation {key}.{did_you_mean(key, keys)}"))


def _check_currency(entry: Entry, before: Entry | None, found: list[Mistake]) -> None:
    currency = entry.values.get("currency")
    if before and currency is not None and currency != before.values["currency"]:
        sentence = f"The currency of a plan never changes; {entry.id[1]} is sold in {before.values['currency']}."
        found.append(Mistake(entry.place_of("currency"), sentence))


def _check_prefixes(document: Document, present: Document, found: list[Mistake]) -> None:
    taken: dict[str, str] = {}
    for entry in present.of_kind("service"):
        given = document.entries.get(entry.id)
        if given is None or "prefix" not in given.values:
            taken[entry.values["prefix"]] = entry.id[1]
    for entry in document.of_kind("service"):
        prefix = entry.values.get("prefix")
        if prefix is not None and taken.setdefault(prefix, entry.id[1]) != entry.id[1]:
            found.append(Mistake(entry.place_of("prefix"), f"The service {taken[prefix]} has the prefix {prefix} too."))


def _check_shapes(document: Document, present: Document, found: list[Mistake]) -> None:
    taken = {(entry.id[1], shape_of(entry.id[2])): entry.id[2] for entry in present.of_kind("operation")}
    for entry in document.of_kind("operation"):
        other = taken.get((entry.id[1], shape_of(entry.id[2])), entry.id[2])
        if other != entry.id[2]:
            sentence = f"{entry.id[1]} has {other} already, which matches the same requests: write it like that."
            found.append(Mistake(entry.place, sentence))
