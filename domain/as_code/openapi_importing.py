"""A service made of an OpenAPI description, and made like it again when the description changes."""

from dataclasses import dataclass, replace
from typing import Any

from domain.as_code.applying import Outcome, apply
from domain.as_code.documents import Document, Entry
from domain.as_code.mistakes import Mistaken
from domain.as_code.openapi_reading import Spec, read_spec
from domain.as_code.parsing import shape_of
from domain.as_code.present import read_present
from domain.as_code.writing import write_document
from domain.audit import Actor
from domain.faults import InvalidValue
from domain.names import valid_slug


@dataclass(frozen=True, slots=True)
class Import:
    """What an import changes, as of `apply`, with what it could not take as it is."""

    outcome: Outcome
    notes: tuple[str, ...]


async def import_spec(
    connection: Any,
    slug: str,
    text: str,
    actor: Actor,
    *,
    prefix: str | None = None,
    upstreams: tuple[str, ...] = (),
    price_micro: int = 0,
    dry_run: bool = False,
    prune: bool = False,
) -> Import:
    """Make the service and its operations what the spec says; what it doesn't say stays as it is.

    A new service gets `prefix` (default: /SLUG) and `upstreams` (default: the spec's first server). New operations cost
    `price_micro` where the spec has no x-credits. Operations that the spec no longer has are left alone; `prune`
    disables them. Kept in the history as a file, like everything that is applied. Raises InvalidValue.
    """
    spec = read_spec(text)
    present = await read_present(connection)
    service = Entry(("service", valid_slug(slug)), values=_service(spec, slug, prefix, upstreams, present))
    document = Document({service.id: service})
    _add_operations(document, slug, spec, price_micro, present, prune=prune)
    try:
        outcome = await apply(connection, write_document(document), actor, dry_run=dry_run, reason="OpenAPI import")
    except Mistaken as fault:
        # Places are of the file that was made here, which nobody has seen.
        raise InvalidValue("\n".join(mistake.text for mistake in fault.mistakes)) from None
    own = tuple(each for each in outcome.differences.left_alone if each[:2] == ("operation", slug))
    return Import(replace(outcome, differences=replace(outcome.differences, left_alone=own)), tuple(spec.notes))


def _service(
    spec: Spec, slug: str, prefix: str | None, upstreams: tuple[str, ...], present: Document
) -> dict[str, Any]:
    values: dict[str, Any] = {"version": spec.version} if spec.version else {}
    if prefix is not None:
        values["prefix"] = prefix
    if upstreams:
        values["upstreams"] = upstreams
    if ("service", slug) in present.entries:
        return values
    if not upstreams and not spec.server:
        raise InvalidValue("Give --upstream: the spec names no server with an absolute URL.")
    return {
        "name": spec.title or slug,
        "description": spec.description,
        "prefix": f"/{slug}",
        "upstreams": (spec.server,),
        **values,
    }


def _add_operations(
    document: Document, slug: str, spec: Spec, price_micro: int, present: Document, *, prune: bool
) -> None:
    known = {shape_of(entry.id[2]): entry for entry in present.of_kind("operation") if entry.id[1] == slug}
    for operation in spec.operations:
        before = known.pop(shape_of(operation.key), None)
        # The parameters' names may differ: it is the same operation.
        entry = Entry(before.id if before else ("operation", slug, operation.key))
        if operation.name is not None:
            entry.values["name"] = operation.name
        if operation.price_micro is not None:
            entry.values["price"] = operation.price_micro
        elif before is None:
            entry.values["price"] = price_micro
        document.entries[entry.id] = entry
    if prune:
        for entry in known.values():
            document.entries[entry.id] = Entry(entry.id, values={"enabled": False})
