"""`paid-endpoint keys`: made, shown once, narrowed, rotated, revoked."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.actors import OPERATOR
from cli.caps import Day, Month, OfDay, OfMonth, caps_of, given_caps
from cli.changing import UNSAID, Trace, changed, facts, key_thing, with_change
from cli.connecting import with_connection
from cli.durations import moment_after, parse_duration
from cli.output import USAGE, JsonOption, as_data, fail, note, print_record, print_rows
from domain import keys
from domain.audit import Verb
from domain.key_restrictions import unknown_scopes
from domain.operating.keys import rotate as rotate_for
from domain.organizations import fetch_organization
from domain.settings import Settings
from domain.spend_caps import set_key_caps

app = typer.Typer(no_args_is_help=True, help="Create, list, rotate, restrict, cap and revoke API keys.")

KeyId = Annotated[UUID, typer.Argument(metavar="ID", help="The key's id (not the key).")]
Organization = Annotated[str, typer.Option(help="Slug of the organization that owns it.")]
Name = Annotated[str, typer.Option(help="A name to know it by.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="SERVICE or SERVICE:OPERATION; repeat it.")]
Networks = Annotated[list[str] | None, typer.Option("--allow-ip", help="Network in CIDR form; repeat it.")]
ExpiresIn = Annotated[str | None, typer.Option(help="30d, 24h or 15m; default: never.")]
Test = Annotated[bool, typer.Option("--test", help="A key for the test environment.")]


@app.command(epilog="Example: paid-endpoint keys create --organization acme --name CI --scope weather --expires-in 30d")
def create(
    organization: Organization,
    name: Name,
    scope: Scopes = None,
    allow_ip: Networks = None,
    expires_in: ExpiresIn = None,
    spend_cap_day: OfDay = None,
    spend_cap_month: OfMonth = None,
    test: Test = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show it, the only time."""
    expires_at = moment_after(expires_in)

    async def work(connection: object, settings: Settings) -> tuple[keys.CreatedKey, Trace]:
        owner = await fetch_organization(connection, organization)
        made = await keys.create(
            connection,
            settings.keys,
            organization_id=owner.id,
            name=name,
            environment="test" if test else "live",
            scopes=scope or [],
            allowed_ips=allow_ip or [],
            expires_at=expires_at,
            spend_caps=caps_of(spend_cap_day, spend_cap_month),
        )
        await _warn_of_unknown(connection, scope)
        return made, _made(Verb.KEY_CREATE, made.record)

    _print_created(with_change(work), as_json=as_json)


@app.command("list", epilog="Example: paid-endpoint keys list --organization acme")
def list_(
    organization: Annotated[str | None, typer.Option(help="Only of this organization.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List keys, newest first; never the keys themselves."""

    async def work(connection: object, _: Settings) -> list[keys.KeyRecord]:
        owner = await fetch_organization(connection, organization) if organization else None
        return await keys.list_keys(connection, organization_id=owner.id if owner else None)

    columns = ("id", "organization_slug", "name", "prefix", "last4", "state", "scopes", "allowed_ips", "expires_at")
    print_rows([_readable(record) for record in with_connection(work)], columns, as_json=as_json)


@app.command(epilog="Example: paid-endpoint keys show 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10")
def show(key_id: KeyId, as_json: JsonOption = False) -> None:
    """Show what is known of one key."""
    record = with_connection(lambda connection, _: keys.fetch_key(connection, key_id, organization_id=None))
    print_record(_readable(record), as_json=as_json)


@app.command(epilog="Example: paid-endpoint keys rotate 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10 --overlap 24h")
def rotate(
    key_id: KeyId,
    overlap: Annotated[str, typer.Option(help="How long the old key still works.")] = "24h",
    as_json: JsonOption = False,
) -> None:
    """Make a second key with the same restrictions; the old one expires after the overlap."""
    duration = parse_duration(overlap)

    async def work(connection: object, settings: Settings) -> keys.CreatedKey:
        async with connection.transaction():  # type: ignore[attr-defined]
            key = await keys.fetch_key(connection, key_id, organization_id=None)
            return await rotate_for(connection, settings, OPERATOR, key, duration, reason=UNSAID)

    _print_created(with_connection(work), as_json=as_json)


@app.command(epilog="Example: paid-endpoint keys revoke 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10 --reason leaked")
def revoke(
    key_id: KeyId,
    reason: Annotated[str | None, typer.Option(help="Kept with the key.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a key for ever."""

    async def make(connection: Any) -> keys.KeyRecord:
        return await keys.revoke(connection, key_id, organization_id=None, reason=reason)

    print_record(_readable(_changed(key_id, Verb.KEY_REVOKE, make, reason or UNSAID)), as_json=as_json)


@app.command(epilog="Example: paid-endpoint keys rename 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10 --name 'CI, nightly'")
def rename(key_id: KeyId, name: Name, as_json: JsonOption = False) -> None:
    """Give a key another name."""

    async def make(connection: Any) -> keys.KeyRecord:
        return await keys.rename(connection, key_id, name, organization_id=None)

    print_record(_readable(_changed(key_id, Verb.KEY_CHANGE, make)), as_json=as_json)


@app.command(
    epilog="Example: paid-endpoint keys restrict 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10 --allow-ip 203.0.113.0/24"
)
def restrict(
    key_id: KeyId,
    scope: Scopes = None,
    any_scope: Annotated[bool, typer.Option("--any-scope", help="Take all scopes off.")] = False,
    allow_ip: Networks = None,
    any_ip: Annotated[bool, typer.Option("--any-ip", help="Take all networks off.")] = False,
    expires_in: Annotated[str | None, typer.Option(help="30d, 24h or 15m from now.")] = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="Take the expiry off.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replace a key's scopes, networks or expiry; what is not given stays."""
    if (scope and any_scope) or (allow_ip and any_ip) or (expires_in and never_expires):
        fail("An option and its opposite are given.", USAGE)
    expires_at = moment_after(expires_in)

    async def make(connection: Any) -> keys.KeyRecord:
        if scope or any_scope:
            await keys.set_scopes(connection, key_id, scope or [], organization_id=None)
        if allow_ip or any_ip:
            await keys.set_allowed_ips(connection, key_id, allow_ip or [], organization_id=None)
        if expires_at or never_expires:
            await keys.set_expiry(connection, key_id, expires_at, organization_id=None)
        await _warn_of_unknown(connection, scope)
        return await keys.fetch_key(connection, key_id, organization_id=None)

    print_record(_readable(_changed(key_id, Verb.KEY_CHANGE, make)), as_json=as_json)


@app.command(
    "set-cap", epilog="Example: paid-endpoint keys set-cap 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10 --day 5.00 --month none"
)
def set_cap(key_id: KeyId, day: Day = None, month: Month = None, as_json: JsonOption = False) -> None:
    """Cap the credits that a key may spend; what is not given stays."""
    caps = given_caps(day, month)

    async def make(connection: Any) -> keys.KeyRecord:
        return await set_key_caps(connection, key_id, caps, organization_id=None)

    print_record(_readable(_changed(key_id, Verb.SPEND_CAP_CHANGE, make)), as_json=as_json)


@app.command(
    "import",
    epilog="Example: paid-endpoint keys import --organization acme --name old --sha256 9f86d0...0a08 --prefix sk_",
)
def import_(
    organization: Organization,
    name: Name,
    sha256: Annotated[str, typer.Option(help="SHA-256 of the key, 64 hexadecimal digits; never the key.")],
    prefix: Annotated[str, typer.Option(help="What the key begins with, for display.")] = "",
    last4: Annotated[str, typer.Option(help="What the key ends with, for display.")] = "",
    scope: Scopes = None,
    allow_ip: Networks = None,
    expires_in: ExpiresIn = None,
    test: Test = False,
    as_json: JsonOption = False,
) -> None:
    """Let a key of another installation keep working, by its SHA-256."""
    expires_at = moment_after(expires_in)

    async def work(connection: object, _: Settings) -> tuple[keys.KeyRecord, Trace]:
        owner = await fetch_organization(connection, organization)
        made = await keys.import_sha256(
            connection,
            organization_id=owner.id,
            name=name,
            sha256_hex=sha256,
            prefix=prefix,
            last4=last4,
            environment="test" if test else "live",
            scopes=scope or [],
            allowed_ips=allow_ip or [],
            expires_at=expires_at,
        )
        return made, _made(Verb.KEY_IMPORT, made)

    print_record(_readable(with_change(work)), as_json=as_json)


def _readable(record: keys.KeyRecord) -> dict[str, Any]:
    return {**as_data(record), "state": record.state}


def _made(verb: Verb, key: keys.KeyRecord) -> Trace:
    return Trace(verb, key_thing(key), key.organization_id, after=facts(key))


def _changed(
    key_id: UUID, verb: Verb, make: Callable[[Any], Awaitable[keys.KeyRecord]], reason: str = UNSAID
) -> keys.KeyRecord:
    """Do it, with its entry in the audit."""

    async def work(connection: Any, _: object) -> tuple[keys.KeyRecord, Trace | None]:
        before = await keys.fetch_key(connection, key_id, organization_id=None)
        after = await make(connection)
        return after, changed(verb, key_thing(after), before, after, of=after.organization_id, reason=reason)

    return with_change(work)


def _print_created(made: keys.CreatedKey, *, as_json: bool) -> None:
    print_record({"key": made.plaintext, **_readable(made.record)}, as_json=as_json)
    if not as_json:
        note("Keep the key now: it is not shown again.")


async def _warn_of_unknown(connection: object, scopes: list[str] | None) -> None:
    for scope in await unknown_scopes(connection, scopes or []):
        note(f"Note: nothing is called {scope} yet; the scope grants nothing until there is.")
