"""Actions that make keys: a new one for an organization, and a successor of one."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field as Constraint

from admin.actions.action import Action, Field, Outcome, Preview, Values
from admin.actions.kinds import Moment
from admin.actions.organization_field import ORGANIZATION, Slug
from admin.actions.wording import Links, counted, to_organization, utc
from admin.web.visit import Visit
from domain.faults import Conflict, InvalidValue
from domain.key_records import KeyRecord
from domain.key_restrictions import unknown_scopes, valid_expiry, valid_scopes
from domain.names import valid_name
from domain.operating import keys
from domain.operators import Right
from domain.organizations import fetch_organization
from domain.tenant_keys import KeyWish

KEY = Field("key", "API key", maxlength=60, hint="Its id, or what it begins with: pe_live_4fQ9. Never the whole key.")
Named = Annotated[str, Constraint(min_length=1, max_length=60)]


class NewKey(Values):
    """What the key shall be."""

    organization: Slug
    name: Annotated[str, Constraint(min_length=1, max_length=120)]
    environment: Literal["live", "test"] = "live"
    scopes: str = ""
    expires_at: Moment | None = None

    @property
    def wish(self) -> KeyWish:
        """The same for the domain."""
        scopes = tuple(each.strip() for each in self.scopes.split(",") if each.strip())
        return KeyWish(self.name, self.environment, scopes, expires_at=self.expires_at)


class Rotation(Values):
    """Which key, and how long the old one goes on."""

    key: Named
    overlap_hours: Annotated[int, Constraint(ge=0, le=90 * 24)] = 24


async def _preview_minting(visit: Visit, values: NewKey) -> Preview:
    found = await fetch_organization(visit.connection, values.organization)
    if found.state != "active":
        raise Conflict(f"{found.name} is {found.state}: its keys would be refused.")
    wish = values.wish
    valid_name(wish.name)
    valid_expiry(wish.expires_at)
    scopes = valid_scopes(wish.scopes)
    if missing := await unknown_scopes(visit.connection, scopes):
        raise InvalidValue(f"There is no service or operation {missing[0]} that a key could be for.")
    living = await keys.count_unrevoked(visit.connection, found.id)
    return Preview(
        (
            (
                f"{found.name} gets a {wish.environment} key for {', '.join(scopes) or 'everything'}, good until"
                f" {utc(wish.expires_at, none='it is revoked')}."
            ),
            "You see the key once, on the next page, and have to hand it over yourself on a safe way.",
        ),
        (("Keys that are not revoked", f"{living:,}", f"{living + 1:,}"),),
    )


async def _mint(visit: Visit, values: NewKey, reason: str) -> Outcome:
    found = await fetch_organization(visit.connection, values.organization)
    made = await keys.mint(visit.connection, visit.settings, visit.actor, found, values.wish, reason=reason)
    links = (*to_key(made.record), *to_organization(found))
    return Outcome(f"{found.name} has the key {made.record.name}.", links, (("The key", made.plaintext),))


async def _preview_rotating(visit: Visit, values: Rotation) -> Preview:
    key = await keys.find_key(visit.connection, values.key)
    if key.state != "active":
        raise Conflict(f"The key {key.name} is {key.state}: mint a new one.")
    follower = await visit.connection.fetchval(
        "select name || ' ' || prefix from api_key where rotated_from = $1 and revoked_at is null", key.id
    )
    if follower is not None:
        raise Conflict(f"The key {key.name} was rotated before: {follower} is in its place. Rotate or revoke that one.")
    end = counted(values.overlap_hours, "hour") + " after that" if values.overlap_hours else "at once"
    return Preview(
        (
            (
                f"{key.organization_slug} gets a second key with the name, scopes, networks and caps of {key.name}"
                f" ({key.prefix}\u2026{key.last4})."
            ),
            f"The old one ends {end}, or at its own expiry if that is earlier.",
            "You see the new key once, on the next page, and have to hand it over yourself on a safe way.",
        ),
        (("The old key ends", utc(key.expires_at), end),),
    )


async def _rotate(visit: Visit, values: Rotation, reason: str) -> Outcome:
    key = await keys.find_key(visit.connection, values.key)
    overlap = timedelta(hours=values.overlap_hours)
    made = await keys.rotate(visit.connection, visit.settings, visit.actor, key, overlap, reason=reason)
    return Outcome(
        f"{key.name} has a successor.", (*to_key(made.record), *to_key(key)), (("The new key", made.plaintext),)
    )


def to_key(key: KeyRecord) -> Links:
    """The link that leads on to a key."""
    return ((f"To {key.name} {key.prefix}\u2026", f"/keys/{key.id}"),)


ACTIONS = (
    Action(
        slug="mint-key",
        title="Mint a key",
        group="Keys",
        right=Right.SUPPORT,
        summary="An organization gets a new API key, which is shown once.",
        model=NewKey,
        fields=(
            ORGANIZATION,
            Field("name", "Name", maxlength=120, hint="As the customer will see it."),
            Field("environment", "For", "choice", options=(("live", "Live"), ("test", "Test"))),
            Field("scopes", "Scopes", required=False, hint="weather, or weather:forecast; with commas. Empty: all."),
            Field("expires_at", "Expires", "moment", required=False, hint="In UTC. Empty: never."),
        ),
        preview=_preview_minting,
        carry_out=_mint,
        button="Mint",
    ),
    Action(
        slug="rotate-key",
        title="Rotate a key",
        group="Keys",
        right=Right.SUPPORT,
        summary="A key gets a successor, which is shown once; the old one goes on for some hours.",
        model=Rotation,
        fields=(
            KEY,
            Field("overlap_hours", "Hours that both are good", "number", value="24", hint="0: the old one ends."),
        ),
        preview=_preview_rotating,
        carry_out=_rotate,
        button="Rotate",
    ),
)
