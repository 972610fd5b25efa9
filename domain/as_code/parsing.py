"""A file as a document: every name, value and shape is checked, and all mistakes are collected."""

from domain.as_code.documents import Document, Entry
from domain.as_code.fields import FIELDS, LIMIT_FIELDS, PRICE, Field
from domain.as_code.mistakes import Mistake, Mistaken, Mistakes, did_you_mean
from domain.as_code.values import WRONG, limit_of, parts_by_name, read_value
from domain.as_code.yaml_reading import Node, Scalar, read_yaml
from domain.faults import InvalidValue
from domain.identity.addresses import valid_email
from domain.names import valid_slug
from domain.operations import valid_method
from domain.path_patterns import pattern_shape, valid_pattern

SECTIONS = ("version", "exported_state", "plans", "services", "operators")


def parse_document(text: str) -> Document:
    """What a file says. Raises Mistaken with everything that is wrong in it by itself."""
    mistakes = Mistakes()
    document = Document()
    for name, place, node in parts_by_name(read_yaml(text), "The file", mistakes):
        if name == "plans":
            _read_plans(document, node, mistakes)
        elif name == "services":
            _read_services(document, node, mistakes)
        elif name == "operators":
            _read_operators(document, node, mistakes)
        elif name == "exported_state" and isinstance(node, Scalar):
            document.exported_state = node.text[:64]
        elif name == "version":
            if not (isinstance(node, Scalar) and node.text == "1"):
                mistakes.append(Mistake(node.place, "The version of this format is 1."))
        else:
            hint = did_you_mean(name, SECTIONS)
            mistakes.append(Mistake(place, f"A file has no {name[:80]}; it has {', '.join(SECTIONS)}.{hint}"))
    if mistakes:
        raise Mistaken(mistakes)
    return document


def operation_key(text: str) -> str:
    """`get /items/{id}` as `GET /items/{id}`. Raises InvalidValue."""
    method, space, pattern = text.partition(" ")
    if not space:
        raise InvalidValue(f"'{text[:80]}' is no operation: write a method and a path, such as GET /items/{{id}}.")
    return f"{valid_method(method)} {valid_pattern(pattern.strip())}"


def shape_of(key: str) -> str:
    """What two operations of a service must not share."""
    method, _, pattern = key.partition(" ")
    return f"{method} {pattern_shape(pattern)}"


def _read_plans(document: Document, node: Node, mistakes: list[Mistake]) -> None:
    for slug, place, body in parts_by_name(node, "plans", mistakes):
        entry = Entry(("plan", slug), place)
        try:
            valid_slug(slug)
        except InvalidValue as fault:
            mistakes.append(Mistake(place, str(fault)))
        _read_fields(entry, body, mistakes)
        _check_limit_names(entry, mistakes)
        document.entries[entry.id] = entry


def _read_services(document: Document, node: Node, mistakes: list[Mistake]) -> None:
    for slug, place, body in parts_by_name(node, "services", mistakes):
        entry = Entry(("service", slug), place)
        try:
            valid_slug(slug)
        except InvalidValue as fault:
            mistakes.append(Mistake(place, str(fault)))
        document.entries[entry.id] = entry
        operations = _read_fields(entry, body, mistakes, apart="operations")
        if operations is not None:
            _read_operations(document, slug, operations, mistakes)


def _read_operators(document: Document, node: Node, mistakes: list[Mistake]) -> None:
    document.says_operators, document.operators_place = True, node.place
    for text, place, body in parts_by_name(node, "operators", mistakes):
        try:
            email = valid_email(text)
        except InvalidValue as fault:
            mistakes.append(Mistake(place, str(fault)))
            email = text
        entry = Entry(("operator", email), place)
        if entry.id in document.entries:
            mistakes.append(Mistake(place, f"{email[:120]} stands here twice."))
        _read_fields(entry, body, mistakes)
        if "role" not in entry.values and not mistakes:
            mistakes.append(Mistake(place, f"The operator {email} needs role."))
        document.entries[entry.id] = entry


def _read_operations(document: Document, slug: str, node: Node, mistakes: list[Mistake]) -> None:
    shapes: dict[str, str] = {}
    for text, place, body in parts_by_name(node, "operations", mistakes):
        try:
            key = operation_key(text)
        except InvalidValue as fault:
            mistakes.append(Mistake(place, str(fault)))
            key = text
        other = shapes.setdefault(shape_of(key), key)
        if other != key or ("operation", slug, key) in document.entries:
            mistakes.append(Mistake(place, f"{key[:120]} matches the same requests as {other[:120]}."))
        entry = Entry(("operation", slug, key), place)
        _read_fields(entry, body, mistakes)
        document.entries[entry.id] = entry


def _read_fields(entry: Entry, node: Node, mistakes: list[Mistake], *, apart: str = "") -> Node | None:
    """Fill an entry; the node of the field `apart`, which is none of its own."""
    kind = entry.id[0]
    fields = {field.name: field for field in FIELDS[kind]}
    what = f"{'An' if kind[0] == 'o' else 'A'} {kind}"
    found = None
    for name, place, part in parts_by_name(node, what, mistakes):
        field = fields.get(name)
        if name == apart:
            found = part
        elif field is None:
            hint = did_you_mean(name, [*fields, *([apart] if apart else [])])
            mistakes.append(Mistake(place, f"{what} has no {name[:80]}.{hint}"))
        else:
            entry.places[name] = part.place
            _read_field(entry, field, part, mistakes)
    return found


def _read_field(entry: Entry, field: Field, node: Node, mistakes: list[Mistake]) -> None:
    if field.kind == "limits":
        entry.values[field.name] = _limits(entry, field, node, mistakes)
    elif field.kind == "prices":
        entry.values[field.name] = _prices(entry, node, mistakes)
    elif (value := read_value(field, node, mistakes)) is not WRONG:
        entry.values[field.name] = value


def _limits(entry: Entry, field: Field, node: Node, mistakes: list[Mistake]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, place, part in parts_by_name(node, field.name, mistakes):
        entry.places[f"{field.name}.{name}"] = place
        if not isinstance(part, Scalar):
            mistakes.append(Mistake(part.place, "A limit is a text, such as 1000/hour."))
            continue
        try:
            found[name] = limit_of(field.name, name, part.text).text
        except InvalidValue as fault:
            mistakes.append(Mistake(part.place, str(fault)))
    return found


def _check_limit_names(entry: Entry, mistakes: list[Mistake]) -> None:
    seen: dict[str, str] = {}
    for field in LIMIT_FIELDS:
        for name in entry.values.get(field, ()):
            first = seen.setdefault(name, field)
            if first != field:
                sentence = f"The plan has a limit {name} in {first} too; a plan has one of each name."
                mistakes.append(Mistake(entry.places[f"{field}.{name}"], sentence))


def _prices(entry: Entry, node: Node, mistakes: list[Mistake]) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    known = {field.name: field for field in PRICE}
    for slug, _, operations in parts_by_name(node, "prices", mistakes):
        for text, place, body in parts_by_name(operations, f"prices of {slug}", mistakes):
            try:
                key = f"{slug} {operation_key(text)}"
            except InvalidValue as fault:
                mistakes.append(Mistake(place, str(fault)))
                continue
            if key in found:
                mistakes.append(Mistake(place, f"{key[:120]} has prices here twice."))
            entry.places[f"prices.{key}"] = place
            values: dict[str, int | None] = dict.fromkeys(known)
            for name, name_place, part in parts_by_name(body, "A price", mistakes):
                if name not in known:
                    mistakes.append(Mistake(name_place, f"A price has no {name[:80]}.{did_you_mean(name, known)}"))
                elif (value := read_value(known[name], part, mistakes)) is not WRONG:
                    values[name] = value
            if any(value is not None for value in values.values()):
                found[key] = list(values.values())
    return found
