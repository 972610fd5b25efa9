"""A customer whose server verifies what it is sent with `standardwebhooks`, and a clock that jumps to what is due.

The server listens on a socket, answers 400 to what it cannot verify, and else as the case says. Nothing here knows how
we sign: the package is another implementation of the specification.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook, WebhookVerificationError

from domain.portal_settings import WebhookSettings
from domain.webhooks.addresses import Guard
from domain.webhooks.schedule import PAUSES, SPREAD
from tests.receivers import OK, Answer, Received, Receiver, answering
from tests.webhook_tenants import Tenant

HEAD = ("case", "try", "schedule", "sent", "webhook-id", "signatures", "verify()", "answered", "then")
REFUSED = b"HTTP/1.1 400 Bad Signature\r\ncontent-length: 0\r\n\r\n"
SLACK = timedelta(seconds=2)
"""The injected clock still runs: this much may pass between a jump and a request."""


@dataclass
class Seen:
    """One request: when it came by the injected clock, the names of the secrets that verify it, our answer."""

    at: datetime
    request: Received
    verified_by: list[str]
    answered: str = "nothing"

    @property
    def signatures(self) -> int:
        """How many signatures its header holds."""
        return len(self.request.headers["webhook-signature"].split(" "))


@dataclass
class Customer:
    """The customer's server. `secrets` are those it was shown, by a name; it takes what one of them verifies."""

    tenant: Tenant
    secrets: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def behaving(self, *answers: Answer | bytes) -> Answer:
        """Verify, then answer with each of these in turn and with the last again and again."""
        left: list[Answer | bytes] = list(answers or (OK,))

        async def answer(receiver: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen = Seen(self.tenant.clock(), receiver.received[-1], [])
            self.seen.append(seen)
            seen.verified_by = [name for name, secret in self.secrets.items() if _verifies(secret, seen.request)]
            behaviour = left.pop(0) if len(left) > 1 else left[0]
            if not seen.verified_by:
                behaviour = REFUSED
            if isinstance(behaviour, bytes):
                seen.answered = behaviour.split(b" ", 2)[1].decode()
                behaviour = answering(behaviour)
            await behaviour(receiver, reader, writer)

        return answer


@dataclass
class Line:
    """One attempt of ours, `sent` after the first. `request` None: nothing reached the receiver.

    `state`, `error` and `off` are what we stored: of the delivery, of the attempt, and why the endpoint is off.
    """

    attempt: int
    sent: timedelta
    request: Seen | None
    state: str
    error: str
    off: str

    def row(self, case: str) -> tuple[str, ...]:
        """The same for people: what the schedule adds to the last attempt, and what really passed since the first."""
        seen = self.request
        then = {"delivered": "delivered", "failed": "given up", "waiting": "tried again"}[self.state]
        return (
            case,
            str(self.attempt),
            "at once" if self.attempt == 1 else f"+ {words(PAUSES[self.attempt - 2])}",
            words(self.sent) if seen else "nothing",
            seen.request.headers["webhook-id"][:8] if seen else "",
            str(seen.signatures) if seen else "",
            (", ".join(seen.verified_by) or "NO") if seen else "",
            seen.answered if seen else "",
            f"{then}, off" if self.off else then,
        )

    @property
    def why(self) -> str:
        """Why it was not delivered; empty if it was."""
        return self.off or self.error


async def attempts(
    customer: Customer, most: int, settings: WebhookSettings, guard: Guard | None = None
) -> tuple[list[Line], list[str]]:
    """Jump from one due moment of the newest delivery to the next, at most `most` times; the lines, what was wrong."""
    tenant, broken = customer.tenant, []
    lines: list[Line] = []
    began = (await tenant.deliveries())[-1]["due_at"]
    for number in range(1, most + 1):
        row = (await tenant.deliveries())[-1]
        if row["state"] != "waiting":
            break
        before = len(customer.seen)
        if number > 1:
            _jump(tenant, row["due_at"] - timedelta(seconds=1))
            if await tenant.deliverer(settings, guard).deliver_due():
                broken.append(f"try {number} was made a second before it was due")
        _jump(tenant, row["due_at"])
        await tenant.deliverer(settings, guard).deliver_due()
        lines.append(await _line(customer, number, began, before))
    return lines, broken + _off_schedule(lines)


async def _line(customer: Customer, number: int, began: datetime, before: int) -> Line:
    row = (await customer.tenant.deliveries())[-1]
    off = await customer.tenant.pool.fetchval(
        "select disabled_reason from webhook_endpoint where id = $1 and disabled_at is not null", row["endpoint_id"]
    )
    request = customer.seen[before] if len(customer.seen) > before else None
    sent = (request.at if request else customer.tenant.clock()) - began
    return Line(number, sent, request, row["state"], row["last_error"], off or "")


def _off_schedule(lines: Sequence[Line]) -> list[str]:
    """Attempts that were not made when the schedule says."""
    broken = []
    for line, following, pause in zip(lines, lines[1:], PAUSES, strict=False):
        wait = following.sent - line.sent
        if not pause - SLACK <= wait <= pause * (1 + SPREAD) + SLACK:
            broken.append(f"try {following.attempt} came after {words(wait)}; the schedule says {words(pause)}")
    return broken


def _jump(tenant: Tenant, moment: datetime) -> None:
    tenant.clock.ahead = max(tenant.clock.ahead, moment - datetime.now(UTC) + timedelta(milliseconds=20))


def _verifies(secret: str, request: Received) -> bool:
    try:
        return bool(Webhook(secret).verify(request.body, request.headers))
    except WebhookVerificationError:
        return False


def words(length: timedelta) -> str:
    """A length as hours, minutes, seconds: `82:18:42.6`."""
    seconds = max(length.total_seconds(), 0.0)
    return f"{int(seconds // 3_600)}:{int(seconds % 3_600 // 60):02}:{seconds % 60:04.1f}"
