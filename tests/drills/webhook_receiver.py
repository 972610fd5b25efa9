"""What a customer's webhook receiver is sent when: one that is fine, fails, hangs, redirects, is gone, has two secrets.

`python -m tests.drills.webhook_receiver` plays all cases on databases of its own in some 10 s and prints a table: each
attempt, when our schedule says, when it came by an injected clock, which secret `standardwebhooks` verifies it with.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx2

from cli.supervisor.services import EmbeddedServices
from domain.migrating import migrate
from domain.portal_settings import WebhookSettings
from domain.webhooks.addresses import Guard
from domain.webhooks.emitting import emit
from domain.webhooks.endpoints import rotate_secret
from domain.webhooks.replaying import replay_delivery
from domain.webhooks.schedule import MOST_ATTEMPTS
from tests.drills.outcome import Outcome, arguments, tell
from tests.drills.webhook_scene import HEAD, Customer, Line, attempts
from tests.receivers import OK, Answer, Receiver, hang, receiving
from tests.webhook_tenants import ACTOR, OPEN, SECRETS, new_tenant

PUBLIC = "93.184.215.14"
FAILING = b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Told:
    """What a case showed."""

    case: str
    lines: list[Line] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def must(self, held: bool, what: str) -> None:
        """Note a promise that did not hold."""
        if not held:
            self.broken.append(f"{self.case}: {what}")

    async def play(
        self,
        customer: Customer,
        most: int = MOST_ATTEMPTS,
        settings: WebhookSettings = OPEN,
        guard: Guard | None = None,
    ) -> None:
        """Make the attempts that are due, one after the other, at most so many."""
        lines, broken = await attempts(customer, most, settings, guard)
        self.lines += lines
        self.broken += [f"{self.case}: {what}" for what in broken]
        unverified = [line.attempt for line in lines if line.request and not line.request.verified_by]
        self.must(not unverified, f"tries {unverified} were not verified")
        ids = {line.request.request.headers["webhook-id"] for line in lines if line.request}
        self.must(len(ids) <= 1, "the attempts of one event have several ids")

    @property
    def states(self) -> list[str]:
        """What was stored after each attempt."""
        return [line.state for line in self.lines]


class Names:
    """A name server that says something else each time, and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), []

    async def __call__(self, host: str, port: int) -> list[str]:
        """The next answer; the last again and again."""
        self.asked.append(host)
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


@asynccontextmanager
async def customer_with(pool: asyncpg.Pool, *answers: Answer | bytes):
    """A customer with an endpoint at a receiver that behaves so; one event waits for it."""
    customer = Customer(await new_tenant(pool))
    async with receiving(customer.behaving(*answers)) as receiver:
        customer.secrets["secret"] = (await customer.tenant.endpoint(receiver.url)).secret
        await customer.tenant.emit("key.created", id="k1", name="first \u2603")
        yield customer, receiver


async def fine(pool: asyncpg.Pool) -> Told:
    """One that takes it; strangers' requests it refuses."""
    told = Told("fine")
    async with customer_with(pool) as (customer, receiver):
        await told.play(customer)
        told.must(told.states == ["delivered"], "it was not delivered at once")
        for what, status in (await _strangers(receiver)).items():
            told.must(status == 400, f"the receiver took {what}")
    return told


async def recovers(pool: asyncpg.Pool) -> Told:
    """One that fails twice and then takes it."""
    told = Told("500 twice")
    async with customer_with(pool, FAILING, FAILING, OK) as (customer, _):
        await told.play(customer)
    told.must(told.states == ["waiting", "waiting", "delivered"], "it was not delivered at the third try")
    return told


async def fails(pool: asyncpg.Pool) -> Told:
    """One that fails for three days."""
    told = Told("500 always")
    async with customer_with(pool, FAILING) as (customer, _):
        await told.play(customer, MOST_ATTEMPTS + 3)
        told.must(len(customer.seen) == MOST_ATTEMPTS == 10, "it was not tried ten times")
    told.must(told.states[-1] == "failed" and bool(told.lines[-1].off), "it was not given up")
    return told


async def times_out(pool: asyncpg.Pool) -> Told:
    """One that says nothing, then takes it."""
    told = Told(f"silent {OPEN.timeout_seconds:g} s")
    async with customer_with(pool, hang, OK) as (customer, _):
        await told.play(customer)
    told.must(told.states == ["waiting", "delivered"], "it was not delivered at the second try")
    told.must("within" in told.lines[0].error, "the time-out is not told")
    return told


async def redirects(pool: asyncpg.Pool) -> Told:
    """One that sends us to an address inside."""
    told = Told("302 inside")
    customer = Customer(await new_tenant(pool))
    async with receiving() as inside:
        there = f"HTTP/1.1 302 Found\r\nlocation: http://inside.example.com:{inside.port}/\r\ncontent-length: 0\r\n\r\n"
        async with receiving(customer.behaving(there.encode())) as receiver:
            names = Names("127.0.0.1")
            guard = customer.tenant.guard = Guard(OPEN, names)
            url = f"http://hooks.example.com:{receiver.port}/"
            customer.secrets["secret"] = (await customer.tenant.endpoint(url)).secret
            await customer.tenant.emit()
            await told.play(customer, 2, guard=guard)
    told.must(inside.connections == 0 and "inside.example.com" not in names.asked, "the redirect was followed")
    told.must(all("Redirects are not followed" in line.error for line in told.lines), "it is not told")
    return told


async def rebinds(pool: asyncpg.Pool) -> Told:
    """A name that is public when the endpoint is saved and private when we connect: its receiver is right there."""
    told = Told("DNS rebinds")
    customer = Customer(await new_tenant(pool))
    async with receiving(customer.behaving()) as receiver:
        strict = WebhookSettings(ports=(receiver.port,), timeout_seconds=1)
        guard = customer.tenant.guard = Guard(strict, Names(PUBLIC, "127.0.0.1"))
        await customer.tenant.endpoint(f"https://rebind.example.com:{receiver.port}/")
        await customer.tenant.emit()
        await told.play(customer, 2, strict, guard)
    told.must(receiver.connections == 0, "a connection was made")
    told.must(all("public internet" in line.error for line in told.lines), "it is not told")
    return told


async def gone(pool: asyncpg.Pool) -> Told:
    """One that answers 410; the next event is for nobody."""
    told = Told("410")
    async with customer_with(pool, GONE) as (customer, _):
        await told.play(customer)
        await customer.tenant.emit()
        told.must(len(await customer.tenant.deliveries()) == 1, "an event was queued for an endpoint that is gone")
    told.must(told.states == ["failed"] and "410" in told.lines[0].off, "the endpoint was not switched off")
    return told


async def rotates(pool: asyncpg.Pool) -> Told:
    """A secret that is rotated: both sign for an hour, then the new one alone."""
    told = Told("rotated")
    async with customer_with(pool) as (customer, _):
        await told.play(customer)
        tenant, old = customer.tenant, customer.secrets.pop("secret")
        [delivery] = await tenant.deliveries()
        async with tenant.pool.acquire() as connection:
            new = await rotate_secret(
                connection, tenant.access, ACTOR, SECRETS, delivery["endpoint_id"], overlap=timedelta(hours=1)
            )
        customer.secrets |= {"old": old, "new": new.secret}
        for ahead in (timedelta(), timedelta(hours=2)):
            tenant.clock.ahead += ahead
            await emit(tenant.pool, tenant.access.organization_id, "key.created", {}, now=tenant.clock())
            await told.play(customer)
    first, during, after = (line.request for line in told.lines)
    told.must(first.signatures == 1 and during.signatures == 2, "not both secrets sign meanwhile")
    told.must(during.verified_by == ["old", "new"], "one of the two does not verify")
    told.must(after.verified_by == ["new"], "the old secret still signs")
    return told


async def replays(pool: asyncpg.Pool) -> Told:
    """The customer asks for a delivered event again: the same id and bytes, signed anew."""
    told = Told("replayed")
    async with customer_with(pool) as (customer, _):
        await told.play(customer)
        [delivery] = await customer.tenant.deliveries()
        async with customer.tenant.pool.acquire() as connection, connection.transaction():
            await replay_delivery(connection, customer.tenant.access, ACTOR, delivery["id"])
        await told.play(customer)
    first, again = (line.request.request for line in told.lines)
    told.must(first.headers["webhook-id"] == again.headers["webhook-id"], "the id is another")
    told.must(first.body == again.body, "the bytes are others")
    return told


CASES: tuple[Callable[[asyncpg.Pool], Awaitable[Told]], ...] = (
    fine, recovers, fails, times_out, redirects, rebinds, gone, rotates, replays,
)  # fmt: skip


async def _strangers(receiver: Receiver) -> dict[str, int]:
    """What the receiver answers to requests that are not ours but look like the one that it has taken."""
    ours = receiver.received[0]
    headers = {name: value for name, value in ours.headers.items() if name.startswith("webhook-")}
    old = str(int(headers["webhook-timestamp"]) - 600)
    other = headers["webhook-signature"][:-6] + "AAAAA="
    forged = {
        "a body that was changed": ({}, ours.body.replace(b"k1", b"k2")),
        "another id": ({"webhook-id": "0" * 36}, ours.body),
        "a moment ten minutes ago": ({"webhook-timestamp": old}, ours.body),
        "another signature": ({"webhook-signature": other}, ours.body),
    }
    async with httpx2.AsyncClient(trust_env=False) as client:
        return {
            what: (await client.post(receiver.url, content=body, headers=headers | changed)).status_code
            for what, (changed, body) in forged.items()
        }


async def play_all(pool: asyncpg.Pool) -> list[Told]:
    """All cases, one after the other."""
    return [await case(pool) for case in CASES]


def table(stories: list[Told]) -> Outcome:
    """A line for each attempt."""
    rows = [line.row(told.case if not number else "") for told in stories for number, line in enumerate(told.lines)]
    broken = [what for told in stories for what in told.broken]
    return Outcome("What was sent when, by the injected clock; a pause is up to a tenth longer", HEAD, rows, broken)


def notes(stories: list[Told]) -> list[str]:
    """What stands in the customer's log where something was not delivered, and the first request as it came."""
    whys = {f"{told.case}: {line.why}": None for told in stories for line in told.lines if line.why}
    first = stories[0].lines[0].request
    assert first is not None
    head = [first.request.line, *(f"{name}: {value}" for name, value in first.request.headers.items())]
    return ["In the log of deliveries:", *whys, "", "The first request:", *head, "", first.request.body.decode()]


async def _run(database_url: str) -> list[Told]:
    await migrate(database_url)
    async with asyncpg.create_pool(database_url, min_size=1, max_size=8) as pool:
        return await play_all(pool)


def main() -> int:
    """Play and print; 1 if a promise broke."""
    options = arguments("webhook_receiver", __doc__ or "").parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServices(Path(folder) / "data") as services:
        stories = asyncio.run(_run(services.database_url))
    status = tell([table(stories)], options)
    if not options.json:
        print(*notes(stories), sep="\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
