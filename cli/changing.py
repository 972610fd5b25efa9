"""What a command changes stands in the audit, written in the transaction of the change: who on this machine, before, after."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from cli.actors import OPERATOR
from cli.connecting import with_connection
from cli.output import as_data
from domain.audit import Thing, Verb, record
from domain.key_records import KeyRecord
from domain.organizations import OrganizationRecord
from domain.settings import Settings

T = TypeVar("T")
Why = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit.")]
UNSAID = "on the command line"
_NOT_TOLD = {"id", "created_at", "updated_at"}


@dataclass(frozen=True, slots=True)
class Trace:
    """One entry of the audit. `before` and `after` hold what changed, and never a secret."""

    verb: Verb
    thing: Thing
    organization_id: UUID | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str = UNSAID


def with_change(work: Callable[[Any, Settings], Awaitable[tuple[T, Trace | None]]]) -> T:
    """As `with_connection`, in one transaction with the entry that `work` returns beside its result; None: nothing changed."""

    async def traced(connection: Any, settings: Settings) -> T:
        async with connection.transaction():
            result, trace = await work(connection, settings)
            if trace is not None:
                await record(
                    connection,
                    OPERATOR,
                    trace.verb,
                    trace.thing,
                    organization_id=trace.organization_id,
                    before=trace.before,
                    after=trace.after,
                    reason=trace.reason,
                )
        return result

    return with_connection(traced)


def facts(made: object) -> dict[str, Any]:
    """What a new record says, without what is empty."""
    return {
        name: value for name, value in as_data(made).items() if name not in _NOT_TOLD and value not in (None, "", [])
    }


def changed(
    verb: Verb, thing: Thing, before: object, after: object, *, of: UUID | None = None, reason: str
) -> Trace | None:
    """The entry of a record that became another; None where both say the same."""
    old, new = as_data(before), as_data(after)
    names = [name for name in new if name not in _NOT_TOLD and old.get(name) != new[name]]
    if not names:
        return None
    return Trace(verb, thing, of, {name: old.get(name) for name in names}, {name: new[name] for name in names}, reason)


def organization_thing(one: OrganizationRecord) -> Thing:
    """As the back office names it."""
    return Thing("organization", str(one.id), one.name)


def key_thing(one: KeyRecord) -> Thing:
    """As the back office names it."""
    return Thing("api_key", str(one.id), one.name)
