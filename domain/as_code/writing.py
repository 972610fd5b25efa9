"""A document as YAML, with what each field means above each section."""

import re
from collections.abc import Iterator
from typing import Any

from domain.as_code.documents import Document, Entry
from domain.as_code.fields import FIELDS, Field
from domain.credit_amounts import credits_text

_PLAIN = re.compile(
    r"[A-Za-z/][A-Za-z0-9_/.{}$+-]*(?: [A-Za-z0-9_/.{}$+-]+)*|[0-9]+(?:/[a-z]+| concurrent)(?: [a-z0-9:_-]*[a-z0-9_-])*"
)
_AMBIGUOUS = re.compile(r"true|false|null|yes|no|on|off|y|n|nan|inf", re.IGNORECASE)
_HEAD = """# Plans, services, operations and operators of paid-endpoint. `paid-endpoint apply FILE --dry-run` shows what a change would do.
# A field that is left out stays as it is; so does what is left out as a whole.
"""


def write_document(document: Document) -> str:
    """The text that reads as this document again."""
    lines = [*_HEAD.splitlines(), "version: 1"]
    if document.exported_state:
        lines += [
            "# From what this was exported, to tell when others have made changes since.",
            f"exported_state: {_quoted(document.exported_state)}",
        ]
    for title, kind in (("plans", "plan"), ("services", "service"), ("operators", "operator")):
        entries = document.of_kind(kind)
        if entries:
            lines += ["", *_legend(title, kind), f"{title}:"]
        for entry in entries:
            lines += _entry_lines(document, entry)
    return "\n".join(lines) + "\n"


def _legend(title: str, kind: str) -> Iterator[str]:
    yield f"# {title.capitalize()}, by {'e-mail address' if kind == 'operator' else 'slug'}."
    yield from (f"#   {field.name}: {field.help}" for field in FIELDS[kind])
    if kind == "service":
        yield "#   operations: By method and path behind the prefix, such as GET /items/{id} or POST /files/*."
        yield from (f"#     {field.name}: {field.help}" for field in FIELDS["operation"])


def _entry_lines(document: Document, entry: Entry) -> Iterator[str]:
    body = list(_field_lines(entry, "    "))
    operations = [each for each in document.of_kind("operation") if each.id[1] == entry.id[1]]
    if entry.id[0] == "service" and operations:
        body.append("    operations:")
        for operation in operations:
            inner = list(_field_lines(operation, "        "))
            body += [f"      {text_of(operation.id[2])}:{'' if inner else ' {}'}", *inner]
    yield f"  {text_of(entry.id[1])}:{'' if body else ' {}'}"
    yield from body


def _field_lines(entry: Entry, indent: str) -> Iterator[str]:
    for field in FIELDS[entry.id[0]]:
        if field.name not in entry.values:
            continue
        value = entry.values[field.name]
        if field.kind == "limits" and value:
            yield f"{indent}{field.name}:"
            yield from (f"{indent}  {text_of(name)}: {text_of(text)}" for name, text in value.items())
        elif field.kind == "prices" and value:
            yield f"{indent}{field.name}:"
            yield from _price_lines(value, f"{indent}  ")
        elif field.kind == "texts" and value:
            yield f"{indent}{field.name}:"
            yield from (f"{indent}  - {text_of(text)}" for text in value)
        else:
            yield f"{indent}{field.name}: {_scalar(field, value)}"


def _price_lines(prices: dict[str, list[int | None]], indent: str) -> Iterator[str]:
    service = ""
    for key, (price, units) in sorted(prices.items()):
        slug, _, operation = key.partition(" ")
        if slug != service:
            service = slug
            yield f"{indent}{text_of(slug)}:"
        said = [] if price is None else [f"price: {credits_text(price)}"]
        said += [] if units is None else [f"quota_cost: {units}"]
        yield f"{indent}  {text_of(operation)}: {{{', '.join(said)}}}"


def _scalar(field: Field, value: Any) -> str:
    if value is None:
        return "null"
    if field.kind in {"limits", "prices"}:
        return "{}"
    if field.kind == "texts":
        return "[]"
    if field.kind == "flag":
        return "true" if value else "false"
    if field.kind == "number":
        return str(value)
    return credits_text(value) if field.kind == "credits" else text_of(value)


def text_of(text: str) -> str:
    """A YAML scalar that every reader takes for this text."""
    if _PLAIN.fullmatch(text) and not _AMBIGUOUS.fullmatch(text) and len(text) < 200:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if sign == "\n":
        return "\\n"
    if sign == " " or sign.isprintable():
        return sign
    code = ord(sign)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
