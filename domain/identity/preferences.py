"""How a user wants to see and hear of things. The version counts the changes, so that none overwrites another unseen."""

from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from domain import audit
from domain.faults import ChangedMeanwhile, InvalidValue

THEMES = ("system", "light", "dark")
_REGIONS = frozenset({
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
})  # fmt: skip


@cache
def time_zones() -> tuple[str, ...]:
    """The names that may be chosen: UTC, then region/city of the IANA database in order."""
    return ("UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in _REGIONS))


@dataclass(frozen=True, slots=True)
class Preferences:
    """One user's settings. `version` is 0 for who never changed them."""

    version: int = 0
    theme: str = "system"
    time_zone: str = "UTC"
    notify_new_device: bool = True
    notify_usage: bool = True
    notify_news: bool = False


_COLUMNS = ", ".join(field.name for field in fields(Preferences))


async def fetch_preferences(connection: Any, user_id: int) -> Preferences:
    """What is set, or the defaults."""
    row = await connection.fetchrow(f"select {_COLUMNS} from user_preference where user_id = $1", user_id)
    return Preferences(**dict(row)) if row else Preferences()


_CHANGE = f"""
insert into user_preference as p (user_id, theme, time_zone, notify_new_device, notify_usage, notify_news)
select $1, $3, $4, $5, $6, $7 where $2 = 0 or exists (select from user_preference where user_id = $1)
on conflict (user_id) do update set theme = excluded.theme, time_zone = excluded.time_zone,
  notify_new_device = excluded.notify_new_device, notify_usage = excluded.notify_usage,
  notify_news = excluded.notify_news, version = p.version + 1, updated_at = now()
  where p.version = $2
returning {_COLUMNS}
"""


async def change_preferences(
    connection: Any, user_id: int, actor: audit.Actor, wanted: Preferences, *, before: Preferences
) -> Preferences:
    """Set all of `wanted`, whose version says what was looked at. Raises InvalidValue, ChangedMeanwhile."""
    if wanted.theme not in THEMES:
        raise InvalidValue("The theme is one of system, light and dark.")
    if wanted.time_zone not in time_zones():
        raise InvalidValue("Choose a time zone of the list, such as Europe/Berlin.")
    row = await connection.fetchrow(_CHANGE, user_id, *asdict(wanted).values())
    if row is None:
        raise ChangedMeanwhile("These settings were changed elsewhere meanwhile. Look at them and change them again.")
    after = Preferences(**dict(row))
    await audit.record(
        connection,
        actor,
        audit.Verb.ACCOUNT_CHANGE_SETTINGS,
        audit.Thing("user", str(user_id), actor.name),
        before=_changed(before, after),
        after=_changed(after, before),
    )
    return after


def _changed(these: Preferences, others: Preferences) -> dict[str, Any]:
    values, other = asdict(these), asdict(others)
    return {name: value for name, value in values.items() if value != other[name] and name != "version"}
