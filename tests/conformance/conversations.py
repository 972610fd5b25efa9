"""One case on one connection: sends it, follows it to its end, and keeps everything for the judges."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Literal

from tests.conformance.cases import Case, Placeholders, case_of
from tests.wire.answers import Transcript, WireAnswer
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Recorded, RecordingUpstream

PATIENCE = 5.0
_sequence = itertools.count(1)


@dataclass
class Bench:
    """A gateway under test: where it is, a key for it, and the upstream behind `/proxy`."""

    address: tuple[str, int]
    key: str
    upstream: RecordingUpstream
    own_fields: dict[str, str] = field(default_factory=dict)

    @property
    def placeholders(self) -> Placeholders:
        """For filling in cases."""
        return Placeholders(self.key, self.address, self.upstream.port)

    def ordinary(self) -> tuple[bytes, str]:
        """An ordinary request, and how the body of its own answer ends."""
        target = f"/ordinary?seq={next(_sequence)}."
        head = f"GET /proxy{target} HTTP/1.1\r\nHost: {self.placeholders.host}\r\nX-API-Key: {self.key}\r\n\r\n"
        return head.encode(), f"to {target}\n"

    def record_of(self, answer: WireAnswer) -> Recorded | None:
        """The request that caused an answer."""
        number = answer.first("x-answer")
        return self.upstream.records[int(number) - 1] if number.isdigit() else None

    async def learn_own_fields(self) -> None:
        """See what the gateway adds to an ordinary request."""
        request, ending = self.ordinary()
        async with await RawClient.connect(self.address) as client:
            await client.send(request)
            answer = (await client.answers(1)).final[0]
        assert answer.body.decode().endswith(ending), answer
        record = self.record_of(answer)
        assert record is not None
        assert record.request is not None
        theirs = {"host", "connection", "x-api-key"}
        self.own_fields = {name.lower(): value for name, value in record.request.fields if name.lower() not in theirs}


@dataclass
class Run:
    """What became of one case. `transcript` holds the case's own answers, without the first and the last ordinary one."""

    case: Case
    second: bool
    transcript: Transcript
    sent: bytes = b""
    received: bytes = b""
    end: str | None = None
    silent: bool = False
    closed_in_time: bool = False
    ordinary_after: Literal["not asked", "own", "closed", "missing"] = "not asked"
    trouble: str = ""
    records: list[Recorded] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Of the first final answer; 0: closed without."""
        return self.transcript.final[0].status if self.transcript.final else 0


async def converse(bench: Bench, case: Case, *, second: bool) -> Run:
    """Send `case`, alone or as the second request on a kept connection, and see it to its end."""
    run = Run(case, second, Transcript())
    async with await RawClient.connect(bench.address) as client:
        methods = list(case.methods)
        if second:
            methods.insert(0, "GET")
            request, ending = bench.ordinary()
            await client.send(request)
            first = (await client.answers(1, PATIENCE)).final
            if client.end is not None or not first or not first[0].body.decode("latin-1").endswith(ending):
                run.trouble = f"the ordinary request before the case failed: {bytes(client.received)[:300]!r}"
                return run
        before, begun = len(client.received), len(client.sent)
        own_ending = await _play(bench, case, client, methods, run, already=int(second))
        seen = client.transcript(methods)
        seen.final = seen.final[int(second) :]
        _take_own_answer(seen, own_ending, run, ended=client.end is not None)
        run.transcript, run.end = seen, client.end
        run.received, run.sent = bytes(client.received[before:]), bytes(client.sent[begun:])
    return run


async def _play(bench: Bench, case: Case, client: RawClient, methods: list[str], run: Run, *, already: int) -> str:
    """The case's bytes in their order; returns how the ordinary request's own answer ends, '' if none was sent."""
    raw = bench.placeholders.fill(case.bytes_of("raw_b64"))
    interims = len(client.transcript(methods).interim)
    await client.send(raw)
    if case.body_follows:
        pause = 1.5 if b"100-continue" in raw else 0.4
        await client.until(lambda: len(client.transcript(methods).interim) > interims, pause)
        await client.send(bench.placeholders.fill(case.bytes_of("followup_b64")))
    if case.line["half_close"]:
        client.half_close()
    last_byte = time.monotonic()
    await client.answers(already + 1, PATIENCE, methods)
    run.silent = client.count(methods) <= already and client.end is None
    if run.silent:
        return ""
    expected = already + 1
    if case.second_request and client.end is None:
        await client.send(bench.placeholders.fill(case.second_request))
        last_byte, expected = time.monotonic(), expected + 1
        await client.answers(expected, PATIENCE, methods)
    said_close = any(answer.closes for answer in client.transcript(methods).final)
    if case.expect["must_close"] or said_close or case.line["half_close"]:
        run.closed_in_time = await client.ended(max(0.1, PATIENCE - (time.monotonic() - last_byte)))
        return ""
    if case.line.get("incomplete"):
        return ""
    request, ending = bench.ordinary()
    await client.send(request)
    await client.until(lambda: _is_own(client.transcript(methods), ending), PATIENCE)
    if any(answer.closes for answer in client.transcript(methods).final):
        run.closed_in_time = await client.ended(PATIENCE)
    return ending


def _is_own(seen: Transcript, ending: str) -> bool:
    """Whether the last answer is whole and belongs to the ordinary request."""
    return bool(seen.final) and seen.final[-1].whole and seen.final[-1].body.decode("latin-1").endswith(ending)


def _take_own_answer(seen: Transcript, ending: str, run: Run, *, ended: bool) -> None:
    """Remove the ordinary request's own answer from the end of the transcript."""
    if not ending:
        return
    run.ordinary_after = "own" if _is_own(seen, ending) else "closed" if ended else "missing"
    if run.ordinary_after == "own":
        seen.final.pop()


async def converse_all(
    bench: Bench, cases: list[Case], *, second: bool, at_once: int = 8
) -> tuple[list[Run], list[Recorded]]:
    """Run many cases, those that name themselves `at_once`; also what arrived at the upstream and belongs to none."""
    mark = bench.upstream.mark()
    gate = asyncio.Semaphore(at_once)

    async def one(case: Case) -> Run:
        async with gate:
            return await converse(bench, case, second=second)

    runs = await asyncio.gather(*(one(case) for case in cases if case.names_itself))
    await bench.upstream.settled(mark)
    strangers = _hand_out(bench.upstream.since(mark), runs)
    for case in cases:
        if not case.names_itself:
            mark = bench.upstream.mark()
            run = await converse(bench, case, second=second)
            await bench.upstream.settled(mark)
            run.records = [record for record in bench.upstream.since(mark) if "/ordinary?seq=" not in record.target]
            runs.append(run)
    return runs, strangers


def _hand_out(records: list[Recorded], runs: list[Run]) -> list[Recorded]:
    """Give each record to the run that its target names; the rest is returned."""
    by_id = {run.case.id: run for run in runs}
    strangers = []
    for record in records:
        run = by_id.get(case_of(record.target))
        if run is not None:
            run.records.append(record)
        elif "/ordinary?seq=" not in record.target:
            strangers.append(record)
    return strangers
