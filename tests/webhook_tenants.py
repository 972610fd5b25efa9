"""An organization with somebody who may build, and what delivers its webhooks, on a clock that is moved by hand."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from domain import organizations, plans
from domain.access import Access
from domain.audit import Actor
from domain.limit_texts import parse_limits
from domain.portal_settings import SecretSettings, WebhookSettings
from domain.webhooks.addresses import Guard
from domain.webhooks.deliverer import Deliverer
from domain.webhooks.emitting import emit
from domain.webhooks.endpoints import CreatedEndpoint, create_endpoint

SECRETS = SecretSettings(keys=f"1:{'33' * 32}")
PORTAL = "https://app.example"
ACTOR = Actor("user", None, "builder@example.com", "127.0.0.1", "test")
OPEN = WebhookSettings(allow_private=True, timeout_seconds=0.4)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """Now, and as much ahead as the test wants."""
        return datetime.now(UTC) + self.ahead


@dataclass
class Tenant:
    """One organization on a database of its own."""

    pool: object
    access: Access
    guard: Guard = field(default_factory=lambda: Guard(OPEN))
    clock: Clock = field(default_factory=Clock)

    async def endpoint(self, url: str, **fields) -> CreatedEndpoint:
        """A new endpoint."""
        async with self.pool.acquire() as connection, connection.transaction():
            return await create_endpoint(connection, self.access, ACTOR, self.guard, SECRETS, url=url, **fields)

    async def emit(self, event_type: str = "key.created", **data):
        """An event; its id."""
        return await emit(self.pool, self.access.organization_id, event_type, data)

    def deliverer(self, settings: WebhookSettings = OPEN, guard: Guard | None = None) -> Deliverer:
        """What delivers, on the test's clock."""
        return Deliverer(self.pool, settings, SECRETS, portal_url=PORTAL, guard=guard, clock=self.clock)

    async def deliveries(self) -> list:
        """Every delivery of the organization, oldest first."""
        return await self.pool.fetch(
            "select * from webhook_delivery where organization_id = $1 order by created_at, id",
            self.access.organization_id,
        )


async def new_tenant(pool) -> Tenant:
    """A new organization; what others left waiting is given up."""
    await pool.execute("update webhook_delivery set state = 'failed', ended_at = now() where state = 'waiting'")
    slug = f"hooks-{secrets.token_hex(5)}"
    async with pool.acquire() as connection, connection.transaction():
        await plans.create(connection, slug=slug, limits=parse_limits(["1000/hour"]), name="Hooks")
        made = await organizations.create(connection, name=slug, plan_slug=slug)
        user_id = await connection.fetchval(
            "insert into users (username, email, password, active) values ($1, $1, 'x', true) returning id",
            f"{slug}@example.com",
        )
    return Tenant(pool, Access(made.id, made.slug, made.name, made.state, user_id, "developer"))
