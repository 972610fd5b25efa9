"""The form of an API key: what stands in its fields, as text, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain.credit_amounts import credits_text, parse_credits
from domain.faults import InvalidValue
from domain.key_records import KeyRecord
from domain.service_catalog import CatalogService

EXPIRIES = (
    ("never", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"), ("date", "On a date"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """A service and its operations, each as (scope, label, whether it is chosen)."""

    service: tuple[str, str, bool]
    operations: tuple[tuple[str, str, bool], ...]

    @property
    def open(self) -> bool:
        """Whether an operation of it is chosen."""
        return any(chosen for _, _, chosen in self.operations)


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The fields as they were written. `reach` is all or some; `networks` has one a line."""

    name: str = ""
    environment: str = "live"
    reach: str = "all"
    scopes: tuple[str, ...] = ()
    networks: str = ""
    expiry: str = "never"
    expires_on: str = ""
    cap_day: str = ""
    cap_month: str = ""

    @property
    def chosen_scopes(self) -> tuple[str, ...]:
        """None for everything. Raises InvalidValue for `some` without any."""
        if self.reach != "some":
            return ()
        if not self.scopes:
            raise InvalidValue("Choose at least one service or operation, or let the key call everything.")
        return self.scopes

    @property
    def allowed_ips(self) -> tuple[str, ...]:
        """One network a line; empty lines count nothing."""
        return tuple(line.strip() for line in self.networks.splitlines() if line.strip())

    @property
    def spend_caps(self) -> dict[str, int | None]:
        """Micro-credits by period. Raises InvalidValue."""
        return {"day": _cap(self.cap_day), "month": _cap(self.cap_month)}

    def expires_at(self, zone: str) -> datetime | None:
        """The moment of the expiry: for a date the end of that day in the person's zone. Raises InvalidValue."""
        if self.expiry == "never":
            return None
        if self.expiry in {"30", "90", "365"}:
            return datetime.now(UTC).replace(microsecond=0) + timedelta(days=int(self.expiry))
        try:
            day = datetime.strptime(self.expires_on, "%Y-%m-%d").date()  # noqa: DTZ007  a date has no zone
            return datetime.combine(day + timedelta(days=1), time(), _zone(zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise InvalidValue("Give the date of the expiry as 2027-01-31.") from None


def form_of(fields: Mapping[str, Any]) -> KeyForm:
    """What somebody sent."""
    scopes = fields.get("scopes", ())
    if scopes and "reach" not in fields:
        fields = {**fields, "reach": "some"}  # never wider than what was chosen
    texts = {name: _text(fields, name) for name in KeyForm.__slots__ if name != "scopes" and name in fields}
    return KeyForm(scopes=tuple(scopes) if isinstance(scopes, list) else (scopes,) if scopes else (), **texts)


def form_of_key(key: KeyRecord, zone: str) -> KeyForm:
    """A key as it is. A date stands for its expiry, if it has one."""
    last_day = "" if key.expires_at is None else (key.expires_at - timedelta(microseconds=1)).astimezone(_zone(zone))
    return KeyForm(
        name=key.name,
        environment=key.environment,
        reach="some" if key.scopes else "all",
        scopes=key.scopes,
        networks="\n".join(key.allowed_ips),
        expiry="never" if key.expires_at is None else "same",
        expires_on=f"{last_day:%Y-%m-%d}" if last_day else "",
        cap_day=_amount(key.spend_cap_day_micro),
        cap_month=_amount(key.spend_cap_month_micro),
    )


def scope_choices(services: tuple[CatalogService, ...], chosen: tuple[str, ...]) -> tuple[ScopeChoice, ...]:
    """Every service of the catalog to choose from, and what is chosen and no longer there."""
    marked = set(chosen)
    choices = []
    known: set[str] = set()
    for service in services:
        names = sorted({operation.name for operation in service.operations})
        operations = tuple((f"{service.slug}:{name}", name, f"{service.slug}:{name}" in marked) for name in names)
        known |= {service.slug, *(scope for scope, _, _ in operations)}
        choices.append(ScopeChoice((service.slug, service.name, service.slug in marked), operations))
    choices += [ScopeChoice((scope, f"{scope} (not there now)", True), ()) for scope in chosen if scope not in known]
    return tuple(choices)


def _zone(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError):
        return ZoneInfo("UTC")


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    return str(value[-1] if isinstance(value, list) else value)


def _cap(text: str) -> int | None:
    return parse_credits(text.strip()) if text.strip() else None


def _amount(micro: int | None) -> str:
    return "" if micro is None else credits_text(micro)
