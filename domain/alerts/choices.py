"""What an organization wants to be told of: its levels of use, its mark of low credits, what a day may cost, what may fail."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from domain import audit
from domain.access import Access, Permission
from domain.alerts.rules import LEVELS
from domain.credit_amounts import LARGEST_CREDITS, MICRO
from domain.faults import InvalidValue
from domain.team import held

MOST_LEVELS = 5
LEAST_LEVEL = 5
MOST_REQUESTS = 1_000_000_000
_COLUMNS = "usage_percents, low_credits_micro, day_cost_micro, error_percent, error_requests"
_OF = f"select {_COLUMNS} from alert_choice where organization_id = $1"
_SET = """
insert into alert_choice as c (organization_id, usage_percents, low_credits_micro, day_cost_micro, error_percent,
                               error_requests)
values ($1, $2, $3, $4, $5, $6)
on conflict on constraint uq_alert_choice_organization_id do update
   set usage_percents = excluded.usage_percents, low_credits_micro = excluded.low_credits_micro,
       day_cost_micro = excluded.day_cost_micro, error_percent = excluded.error_percent,
       error_requests = excluded.error_requests, updated_at = now()
"""


@dataclass(frozen=True, slots=True)
class AlertChoices:
    """`usage_percents` ascending; empty: not told of. `low_credits_micro` None: a share of what was bought; 0: never.

    `day_cost_micro` and `error_percent` None: not told of. `error_requests` is the least number of requests of an error rate.
    """

    usage_percents: tuple[int, ...] = LEVELS
    low_credits_micro: int | None = None
    day_cost_micro: int | None = None
    error_percent: int | None = None
    error_requests: int = 100


DEFAULT = AlertChoices()
"""Of who never chose."""


async def fetch_choice(connection: Any, organization_id: UUID) -> AlertChoices:
    """What the organization chose, or DEFAULT."""
    row = await connection.fetchrow(_OF, organization_id)
    if row is None:
        return DEFAULT
    return AlertChoices(**{**dict(row), "usage_percents": tuple(row["usage_percents"])})


async def change_choice(connection: Any, access: Access, actor: audit.Actor, wanted: AlertChoices) -> AlertChoices:
    """Choose. Inside a transaction. Raises Forbidden, InvalidValue, NotFound if the organization is closed."""
    access = await held(connection, access)
    access.require(Permission.BUY)
    chosen = valid_choice(wanted)
    before = await fetch_choice(connection, access.organization_id)
    await connection.execute(
        _SET,
        access.organization_id,
        list(chosen.usage_percents),
        chosen.low_credits_micro,
        chosen.day_cost_micro,
        chosen.error_percent,
        chosen.error_requests,
    )
    await audit.record(
        connection,
        actor,
        audit.Verb.THRESHOLDS_CHANGE,
        audit.Thing("organization", str(access.organization_id), access.name),
        organization_id=access.organization_id,
        before=asdict(before),
        after=asdict(chosen),
    )
    return chosen


def valid_choice(wanted: AlertChoices) -> AlertChoices:
    """The same with its levels ascending, each once. Raises InvalidValue."""
    levels = tuple(sorted(set(wanted.usage_percents)))
    if len(levels) > MOST_LEVELS or any(not LEAST_LEVEL <= level <= 100 for level in levels):
        raise InvalidValue(f"Percents of use lie between {LEAST_LEVEL} and 100, at most {MOST_LEVELS} of them.")
    for name, micro, least in (
        ("The mark of low credits", wanted.low_credits_micro, 0),
        ("What a day may cost", wanted.day_cost_micro, 1),
    ):
        if micro is not None and not least <= micro <= LARGEST_CREDITS * MICRO:
            raise InvalidValue(f"{name} is {'0 or more' if least == 0 else 'more than 0'}, at most {LARGEST_CREDITS}.")
    if wanted.error_percent is not None and not 1 <= wanted.error_percent <= 100:
        raise InvalidValue("A share of failures lies between 1 and 100 percent.")
    if not 1 <= wanted.error_requests <= MOST_REQUESTS:
        raise InvalidValue(f"The least number of requests lies between 1 and {MOST_REQUESTS}.")
    return AlertChoices(levels, *_rest(wanted))


def _rest(wanted: AlertChoices) -> tuple[int | None, int | None, int | None, int]:
    return wanted.low_credits_micro, wanted.day_cost_micro, wanted.error_percent, wanted.error_requests


def parse_percents(text: str) -> tuple[int, ...]:
    """Levels as people write them: `50, 80, 100`; nothing is none. Raises InvalidValue."""
    return tuple(_whole(part, "Percents of use") for part in _parts(text))


def parse_whole(text: str, name: str) -> int | None:
    """A whole number as people write it; None for nothing. Raises InvalidValue that begins with `name`."""
    text = text.strip().replace(",", "").removesuffix("%").strip()
    return _whole(text, name) if text else None


def _parts(text: str) -> Iterable[str]:
    return (part for part in text.replace("%", " ").replace(",", " ").replace(";", " ").split() if part)


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise InvalidValue(f"{name}: '{text[:20]}' is no whole number.")
    return int(text)
