"""Customers of these tests: an organization with members and an endpoint, what it used, and what it was told."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain import organizations, plans
from domain.alert_settings import AlertSettings
from domain.alerts.looking import Looker, Told, look_at_organization
from domain.alerts.telling import Teller
from domain.limit_texts import parse_limits
from domain.mail_texts import MailText, render
from domain.outbox import values_of
from domain.settings import SecretSettings
from tests.usage import call, stored

SECRETS = SecretSettings(keys=f"1:{'33' * 32}")
ROLES = ("owner", "admin", "developer", "billing", "viewer")


def now() -> datetime:
    return datetime.now(UTC)


def looker(**settings: Any) -> Looker:
    return Looker(AlertSettings(**settings), Teller(SECRETS, "https://app.example", "http://localhost:3001"))


@dataclass
class Customer:
    """An organization, with one member of each role who has a verified address `role-slug@example.com`."""

    id: UUID
    slug: str
    users: dict[str, int]

    async def used(
        self, pool: Any, requests: int, at: datetime | None = None, *, folded: bool = True, **changes
    ) -> None:
        """So many requests that were answered at that moment."""
        records = [call(self.id, at or now(), **changes) for _ in range(requests)]
        async with pool.acquire() as connection:
            await stored(connection, records, folded=folded)

    async def look(self, pool: Any, at: datetime | None = None, **settings: Any) -> Told:
        async with pool.acquire() as connection:
            return await look_at_organization(connection, looker(**settings), self.id, at or now())

    async def events(self, pool: Any) -> list[tuple[str, dict[str, Any]]]:
        """Type and data, oldest first."""
        rows = await pool.fetch(
            "select type, payload from webhook_event where organization_id = $1 and type in ('usage.threshold', 'credits.low')"
            " order by created_at",
            self.id,
        )
        return [(row["type"], json.loads(row["payload"])["data"]) for row in rows]

    async def told(self, pool: Any) -> list[int]:
        """The percents that were told by event."""
        return [data["percent"] for _, data in await self.events(pool)]

    async def mails(self, pool: Any) -> list[tuple[str, MailText]]:
        """The role of the reader, and the mail as it will be read."""
        rows = await pool.fetch(
            "select id, template, recipient, content from outbox_message where recipient like $1 order by created_at, recipient",
            f"%-{self.slug}@example.com",
        )
        always = {"product": "Gate", "base_url": "https://app.example"}
        return [
            (
                row["recipient"].partition("-")[0],
                render(row["template"], {**always, **values_of(SECRETS, row["id"], row["content"])}),
            )
            for row in rows
        ]


async def customer(pool: Any, *limits: str, **plan: Any) -> Customer:
    """On a plan with these limits, that costs nothing; it has an endpoint for all events."""
    slug = f"a{uuid4().hex[:12]}"
    async with pool.acquire() as connection:
        await plans.create(
            connection, slug=slug, limits=parse_limits(limits, quotas=plan.pop("quotas", ())), name="Pro", **plan
        )
        made = await organizations.create(connection, name="Acme", plan_slug=slug, slug=slug)
    users = {}
    for role in ROLES:
        users[role] = await pool.fetchval(
            "insert into users (username, password, email, first_name, last_name, active, admin, superuser,"
            " email_verified_at) values ($1, 'x', $1, '', '', true, false, false, now()) returning id",
            f"{role}-{slug}@example.com",
        )
        await pool.execute(
            "insert into membership (organization_id, user_id, role) values ($1, $2, $3)", made.id, users[role], role
        )
    await pool.execute(
        "insert into webhook_endpoint (organization_id, url, secret) values ($1, 'https://x.example/', '')", made.id
    )
    return Customer(made.id, slug, users)
