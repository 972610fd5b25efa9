"""Mutated upstream answers, and what clients may see of them. The oracle is our own strict reading of the bytes.

What it reads as one whole answer comes through with that body, or is refused; what it reads as cut must look cut;
and whatever came, the ordinary requests right after get their own answers.
"""

import asyncio
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.conformance.cases import RESPONSES
from tests.conformance.conversations import PATIENCE, Bench
from tests.conformance.generated import MUTATIONS
from tests.wire.answers import Transcript, read_answers
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script, reached

HEAVY = {"u9-drip", "u9-header-200k", "u9-endless-status", "u11-gzip-bomb"}
ENDS_AFTER_MS = 30
_numbers = itertools.count(1)


@dataclass
class GeneratedAnswer:
    """One mutated answer; `due` is its strict reading."""

    seed: int
    target: str
    raw: bytes
    origin: str
    due: Transcript
    seen: Transcript = field(default_factory=Transcript)
    received: bytes = b""
    end: str | None = None
    later: list[str] = field(default_factory=list)

    @property
    def due_whole(self) -> bool:
        """Whether the bytes are exactly one whole answer that says where it ends."""
        final = self.due.final
        return not self.due.problem and len(final) == 1 and final[0].whole and final[0].status != 101


def generate(bench: Bench, seed: int) -> GeneratedAnswer:
    """The mutated answer of a seed: the same bytes for the same seed."""
    dice = random.Random(seed)
    case = dice.choice([case for case in RESPONSES if case.id not in HEAVY and case.bytes_of("response_b64")])
    raw = bench.placeholders.fill(case.bytes_of("response_b64"))
    for _ in range(dice.choice((1, 1, 2, 3))):
        raw = dice.choice(MUTATIONS)(dice, raw) or raw
    return GeneratedAnswer(seed, f"/answer{next(_numbers)}.", raw, case.id, read_answers(raw))


async def converse(bench: Bench, made: GeneratedAnswer) -> None:
    """Ask for it, then for ordinary answers: on the same connection if it is open, and on a new one."""
    keep = made.due_whole
    bench.upstream.script(made.target, Script(made.raw, delay_ms=0 if keep else ENDS_AFTER_MS, close=not keep))
    head = f"Host: {bench.placeholders.host}\r\nX-API-Key: {bench.key}\r\n\r\n"
    async with await RawClient.connect(bench.address) as client:
        await client.send(f"GET /proxy{made.target} HTTP/1.1\r\n{head}".encode())
        await client.answers(1, PATIENCE)
        made.seen, made.end, made.received = client.transcript(), client.end, bytes(client.received)
        await reached(lambda: made.target in bench.upstream.played, PATIENCE)
        if client.end is None and made.seen.final and made.seen.final[0].whole:
            await _ordinary(bench, client, made)
    async with await RawClient.connect(bench.address) as client:
        await _ordinary(bench, client, made)
    del bench.upstream.scripts[made.target]


async def _ordinary(bench: Bench, client: RawClient, made: GeneratedAnswer) -> None:
    request, ending = bench.ordinary()
    client.received.clear()
    await client.send(request)
    seen = await client.answers(1, PATIENCE)
    own = bool(seen.final) and seen.final[0].whole and seen.final[0].body.decode("latin-1").endswith(ending)
    if not own and (client.received or client.end is None):
        made.later.append(f"an ordinary request got {bytes(client.received[:300])!r}")


async def converse_all(bench: Bench, seeds: range, at_once: int = 8) -> list[GeneratedAnswer]:
    """The answers of all seeds, several at once."""
    gate, made = asyncio.Semaphore(at_once), [generate(bench, seed) for seed in seeds]

    async def one(each: GeneratedAnswer) -> None:
        async with gate:
            await converse(bench, each)

    await asyncio.gather(*map(one, made))
    return made


def complaints(bench: Bench, made: GeneratedAnswer) -> Iterator[str]:
    """Everything that is wrong with what became of a mutated answer."""
    yield from made.later
    if made.seen.problem:
        yield f"malformed answer: {made.seen.problem}"
    if bench.key.encode() in made.received:
        yield "the key is in the answer"
    if not made.seen.final:
        if made.end is None:
            yield "neither an answer nor a close within 5 s"
        return
    answer, due = made.seen.final[0], made.due.final[0] if made.due.final else None
    if answer.status >= 500 and answer.status not in {502, 504} and b" %d " % answer.status not in made.raw:
        yield f"a {answer.status}"
    if any(name.startswith("x-pe-") for name, _ in answer.fields):
        yield "a reserved field came through"
    if answer.status >= 500 or due is None or made.due.problem:
        return
    if answer.whole and not due.whole and not due.until_close:
        yield "a cut answer came through as a whole one"
    if made.due_whole and (answer.status, answer.body, answer.whole) != (due.status, due.body, True):
        yield f"{due.status} {due.body[:100]!r} came through as {answer.status} {answer.body[:100]!r} whole={answer.whole}"


def report(found: list[str], made: GeneratedAnswer) -> str:
    """The complaints with the bytes of both sides."""
    lines = [f"seed {made.seed} from {made.origin}", *(f"  - {each}" for each in found)]
    lines += [
        f"  upstream sent {made.raw!r}",
        f"  client got    {made.received[:1000]!r} then {made.end or 'still open'}",
    ]
    return "\n".join(lines)
