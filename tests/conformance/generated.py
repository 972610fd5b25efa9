"""Cases of the same kinds that are not in the folder: raw cases, mutated; and what must hold for whatever comes out.

The oracle is our own strict reading of the bytes: requests that it reads are the only ones that may arrive whole,
in their order and with their bodies; of a request that it refuses at most one lenient reading may arrive.
"""

import asyncio
import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.conformance.cases import REQUESTS
from tests.conformance.conversations import PATIENCE, Bench
from tests.conformance.judging import hop_by_hop_complaints
from tests.wire.answers import Transcript
from tests.wire.raw_client import RawClient
from tests.wire.requests import WireRequest, parse_requests
from tests.wire.upstream import Recorded

HEAVY = {"sz-header-2m", "sz-key-1m", "sz-header-100k", "sz-target-100k", "tr-big"}
ODD_BYTES = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\t",
    b" ",
    b",",
    b";",
    b":",
    b"\x0b",
    b"\x85",
    b"\xff",
    b"0",
    b"5",
    b"chunked",
)
FIELDS = (
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: 9999",
    b"Host: other.example",
    b"Connection: close",
    b"Connection: transfer-encoding, content-length",
    b"Expect: 100-continue",
    b"X-PE-Organization: spoofed",
    b"X_PE_Plan: spoofed",
    b"X-Forwarded-For: 203.0.113.66",
    b"Upgrade: h2c",
    b"TE: gzip",
    b"Trailer: Content-Length",
    b"Keep-Alive: max=9",
    b" folded",
    b"X-A : b",
)  # fmt: skip
_numbers = itertools.count(1)

Mutation = Callable[[random.Random, bytes], bytes]


def _insert(dice: random.Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw) + 1)
    return raw[:at] + dice.choice(ODD_BYTES) + raw[at:]


def _delete(dice: random.Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + raw[at + dice.choice((1, 1, 2, 4)) :]


def _replace(dice: random.Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + dice.choice(ODD_BYTES) + raw[at + 1 :]


def _swap_case(dice: random.Random, raw: bytes) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + raw[at : at + 12].swapcase() + raw[at + 12 :]


def _double_line(dice: random.Random, raw: bytes) -> bytes:
    lines = raw.split(b"\r\n")
    at = dice.randrange(len(lines))
    return b"\r\n".join([*lines[: at + 1], *lines[at:]])


def _add_field(dice: random.Random, raw: bytes) -> bytes:
    head, end, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(dice.randrange(1, len(lines) + 1), dice.choice(FIELDS))
    return b"\r\n".join(lines) + end + body


def _line_end(dice: random.Random, raw: bytes) -> bytes:
    ends = [found.start() for found in re.finditer(b"\r\n", raw)]
    if not ends:
        return raw
    at = dice.choice(ends)
    return raw[:at] + dice.choice((b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n")) + raw[at + 2 :]


def _pipeline(dice: random.Random, raw: bytes) -> bytes:
    return raw + dice.choice((b"", b"\r\n", b"0\r\n\r\n", b"x")) + raw


MUTATIONS: tuple[Mutation, ...] = (
    _insert, _insert, _delete, _replace, _swap_case, _double_line, _add_field, _add_field, _line_end, _pipeline
)  # fmt: skip


@dataclass
class Generated:
    """One mutated request: its bytes, the pieces in which they are sent, and the mark in its targets."""

    seed: int
    mark: str
    raw: bytes
    pieces: list[bytes]
    origin: str
    transcript: Transcript = field(default_factory=Transcript)
    received: bytes = b""
    end: str | None = None
    silent: bool = False
    records: list[Recorded] = field(default_factory=list)


def generate(bench: Bench, seed: int) -> Generated:
    """The mutated request of a seed: the same bytes for the same seed, but for the mark, key, and ports."""
    dice = random.Random(seed)
    case = dice.choice([case for case in REQUESTS if case.names_itself and case.id not in HEAVY])
    mark = f"m{next(_numbers)}x"
    raw = bench.placeholders.fill(case.bytes_of("raw_b64") + case.bytes_of("followup_b64"))
    raw = raw.replace(b"SMUGGLED-", b"").replace(case.id.encode(), mark.encode())
    for _ in range(dice.choice((1, 1, 2, 3))):
        raw = dice.choice(MUTATIONS)(dice, raw) or raw
    cuts = sorted(dice.randrange(len(raw) + 1) for _ in range(dice.choice((0, 0, 1, 3))))
    pieces = [raw[a:b] for a, b in itertools.pairwise([0, *cuts, len(raw)])]
    return Generated(seed, mark, raw, [piece for piece in pieces if piece], case.id)


async def converse(bench: Bench, made: Generated) -> None:
    """Send it; say that nothing more comes if no answer does soon; see it to its end."""
    async with await RawClient.connect(bench.address) as client:
        for piece in made.pieces:
            await client.send(piece)
            # A turn of the loop between two segments is what makes them two.
            await asyncio.sleep(0.001)
        methods = ["HEAD" if made.raw.startswith(b"HEAD ") else "GET"]
        await client.answers(1, 0.15, methods)
        client.half_close()
        ended = await client.ended(PATIENCE)
        made.silent = not ended and client.count(methods) == 0
        made.transcript, made.end, made.received = client.transcript(methods), client.end, bytes(client.received)


async def converse_all(bench: Bench, seeds: range, at_once: int = 8) -> tuple[list[Generated], list[Recorded]]:
    """Send the requests of all seeds, several at once; also what arrived and carries no mark."""
    gate, mark = asyncio.Semaphore(at_once), bench.upstream.mark()
    made = [generate(bench, seed) for seed in seeds]

    async def one(each: Generated) -> None:
        async with gate:
            await converse(bench, each)

    await asyncio.gather(*map(one, made))
    await bench.upstream.settled(mark)
    by_mark = {each.mark: each for each in made}
    unmarked = []
    for record in bench.upstream.since(mark):
        names = [name.decode() for name in re.findall(rb"m\d+x", bytes(record.raw).lower())]
        owner = next((by_mark[name] for name in names if name in by_mark), None)
        if owner is None:
            # The mark itself was mutated.
            target = b"/proxy" + record.target.encode("latin-1")
            owner = next((each for each in made if target in each.raw), None)
        (unmarked if owner is None else owner.records).append(record)
    return made, unmarked


def complaints(bench: Bench, made: Generated) -> Iterator[str]:
    """Everything that is wrong with what became of a mutated request."""
    if made.silent:
        yield "neither an answer nor a close within 5 s"
    if made.transcript.problem:
        yield f"malformed answer: {made.transcript.problem}"
    yield from (f"a {a.status}" for a in made.transcript.final if a.status >= 500 and a.status not in {501, 505})
    if bench.key.encode() in made.received:
        yield "the key is in the answer"
    for record in made.records:
        if record.state == "malformed":
            yield f"malformed request at the upstream: {record.problem}"
        if bench.key in record.text:
            yield "the key is at the upstream"
        yield from hop_by_hop_complaints(record)
    yield from _against_oracle(made)


def _against_oracle(made: Generated) -> Iterator[str]:
    """Whole arrivals are the requests that the strict reading finds, in order; one more if it stops at a doubtful one."""
    due, rest, _ = parse_requests(made.raw)
    whole = [record.request for record in made.records if record.state == "whole" and record.request]
    if len(whole) > len(due) + bool(rest):
        yield f"{len(whole)} whole requests at the upstream where a strict reading finds {len(due)}"
    # Requests that are refused (no key, bad path) leave gaps, so arrivals are matched as a subsequence.
    wanted = iter(due)
    strays = [arrived for arrived in whole if not any(_same(arrived, each) for each in wanted)]
    if len(strays) > bool(rest):
        yield f"arrived and not asked for: {[(each.method, each.target, each.body[:200]) for each in strays]}"


def _same(arrived: WireRequest, sent: WireRequest) -> bool:
    """Whether a request at the upstream is the one that was sent: `/proxy` is gone, escapes may be written otherwise."""
    return unquote(sent.target.lower()).endswith(unquote(arrived.target.lower())) and arrived.body == sent.body


def report(found: list[str], made: Generated) -> str:
    """The complaints with the bytes of all sides."""
    lines = [f"seed {made.seed} from {made.origin}", *(f"  - {each}" for each in found)]
    lines += [f"  sent      {made.pieces!r}", f"  received  {made.received[:1000]!r} then {made.end or 'still open'}"]
    return "\n".join([*lines, *(f"  upstream  #{r.number} {r.state} {bytes(r.raw[:800])!r}" for r in made.records)])
