"""Organizations with a history of requests, for tests of what replays it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain import operations, organizations, plans, services
from domain.limit_texts import parse_limits
from domain.partitions import ensure_partitions
from tests.request_rows import DEFAULTS, id_at

NOW = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)
DAY = datetime(2026, 11, 26, tzinfo=UTC)
"""The last whole day before NOW."""
_COLUMNS = ("id", "at", "organization_id", *DEFAULTS)


@dataclass
class History:
    """A service with operations by name, and the rows that are to be written."""

    connection: object
    service_id: UUID
    slug: str
    operations: dict[str, UUID]
    key: UUID = field(default_factory=uuid4)
    rows: list[tuple] = field(default_factory=list)

    def ask(self, organization_id: UUID, begun: datetime, operation: str | None = "forecast", **columns) -> UUID:
        """One request that began then."""
        values = {"key_id": self.key, "service_id": self.service_id, "total_us": 1_000, "cost_micro": 0, **columns}
        values["operation_id"] = self.operations[operation] if operation else None
        request_id = id_at(begun)
        at = begun + timedelta(microseconds=values["total_us"])
        whole = {**DEFAULTS, **values, "id": request_id, "at": at, "organization_id": organization_id}
        self.rows.append(tuple(whole[name] for name in _COLUMNS))
        return request_id

    def refused(self, organization_id: UUID, begun: datetime, refusal: str = "rate_limited", **columns) -> UUID:
        """One that we refused."""
        status = 402 if refusal == "out_of_credits" else 429
        return self.ask(
            organization_id, begun, outcome="refused", status=status, refusal=refusal, upstream_us=None, **columns
        )

    async def written(self) -> None:
        """Store what was asked so far."""
        for day in {row[1].date() for row in self.rows}:
            await ensure_partitions(self.connection, day, day)
        await self.connection.copy_records_to_table("request_log", records=self.rows, columns=_COLUMNS)
        self.rows.clear()


async def history_of(connection, prices: dict[str, int] | None = None) -> History:
    """A service `weather`; operations with their prices in micro-credits."""
    await services.create(connection, slug="weather", prefix="/weather", upstreams=["http://127.0.0.1:1"])
    found = {}
    for name, price in (prices or {"forecast": 100_000, "history": 500_000}).items():
        made = await operations.create(
            connection, service_slug="weather", method="GET", path_pattern=f"/{name}", name=name, price_micro=price
        )
        found[name] = made.id
    service_id = await connection.fetchval("select id from service where slug = 'weather'")
    await ensure_partitions(connection, DAY.date(), NOW.date())
    return History(connection, service_id, "weather", found)


async def sold_to(connection, plan: str, name: str, billing_mode: str = "credits", credits_: int = 0) -> UUID:
    """An organization on a plan, since the first of the month, with so many micro-credits from before."""
    made = await organizations.create(connection, name=name, plan_slug=plan, billing_mode=billing_mode)
    await connection.execute(
        "update subscription set started_at = $2, period_start = $2, period_end = $3 where organization_id = $1",
        made.id, datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC),
    )  # fmt: skip
    if credits_:
        await connection.execute(
            "insert into credit_account (organization_id, balance_micro, bonuses_micro) values ($1, $2, $2)"
            " on conflict (organization_id) do update set balance_micro = $2, bonuses_micro = $2",
            made.id, credits_,
        )  # fmt: skip
    return made.id


async def plan_of(connection, slug: str, *limits: str, **terms) -> None:
    """A plan; `shadow` and `quota` are further lists of limits."""
    parsed = parse_limits(limits, terms.pop("shadow", ()), terms.pop("quota", ()))
    await plans.create(connection, slug=slug, limits=parsed, **terms)
