"""One response case: what clients see when the upstream answers one request with given bytes, and its judges."""

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.conformance.cases import Case, case_of
from tests.conformance.conversations import PATIENCE, Bench
from tests.wire.answers import Transcript, WireAnswer
from tests.wire.grammar import holds
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Recorded, Script, reached

NEW_CONNECTIONS = 3


@dataclass
class ResponseRun:
    """What became of one response case; `later` are the ordinary requests right after, each with what is wrong ('')."""

    case: Case
    transcript: Transcript
    received: bytes = b""
    end: str | None = None
    took: float = 0.0
    later: list[str] = field(default_factory=list)
    later_received: bytes = b""
    records: list[Recorded] = field(default_factory=list)
    strangers: list[Recorded] = field(default_factory=list)

    @property
    def answer(self) -> WireAnswer | None:
        """The final answer, whole or not."""
        return self.transcript.final[0] if self.transcript.final else None


async def converse(bench: Bench, case: Case) -> ResponseRun:
    """Ask for the case's target, then at once for ordinary ones: on this connection and on three new ones."""
    _prepare(bench, case)
    mark, run = bench.upstream.mark(), ResponseRun(case, Transcript())
    method = case.line.get("method", "GET")
    body = "Content-Length: 2\r\n\r\nok" if method == "POST" else "\r\n"
    ask = f"{method} /proxy/{case.id} HTTP/1.1\r\nHost: {bench.placeholders.host}\r\nX-API-Key: {bench.key}\r\n{body}"
    async with await RawClient.connect(bench.address) as client:
        begun = time.monotonic()
        await client.send(ask.encode())
        await client.answers(1, PATIENCE, [method])
        run.took = time.monotonic() - begun
        run.transcript, run.received, run.end = client.transcript([method]), bytes(client.received), client.end
        await _played(bench, run)
        if client.end is None and run.answer is not None and run.answer.whole and not run.answer.closes:
            await _ordinary(bench, client, run, [method, "GET"])
    for _ in range(NEW_CONNECTIONS):
        async with await RawClient.connect(bench.address) as client:
            await _ordinary(bench, client, run, ["GET"])
    await bench.upstream.settled(mark)
    run.records = [record for record in bench.upstream.since(mark) if case_of(record.target) == case.id]
    known = ("/ordinary?seq=", f"/{case.id}")
    run.strangers = [record for record in bench.upstream.since(mark) if not record.target.startswith(known)]
    return run


def _prepare(bench: Bench, case: Case) -> None:
    line, fill = case.line, bench.placeholders.fill
    bench.upstream.script(
        f"/{case.id}",
        Script(
            response=fill(case.bytes_of("response_b64")),
            drip_ms=line.get("drip_ms", 0),
            delay_ms=line.get("delay_ms", 0),
            late=fill(case.bytes_of("late_b64")),
            close=line["close"],
            reset=bool(line.get("reset")),
        ),
    )


async def _played(bench: Bench, run: ResponseRun) -> None:
    """Late bytes can poison the next request only once they are sent: wait until the upstream has done its part."""
    if not run.case.line.get("drip_ms"):
        await reached(lambda: f"/{run.case.id}" in bench.upstream.played, PATIENCE)


async def _ordinary(bench: Bench, client: RawClient, run: ResponseRun, methods: list[str]) -> None:
    """One ordinary request; a closed connection is a complaint only on a new one."""
    request, ending = bench.ordinary()
    new, before = len(methods) == 1, len(client.received)
    await client.send(request)
    seen = await client.answers(len(methods), PATIENCE, methods)
    run.later_received += client.received[before:]
    if len(seen.final) < len(methods):
        run.later.append("" if client.end and not new and len(client.received) == before else "no answer")
        return
    answer = seen.final[-1]
    own = answer.status == 200 and answer.whole and answer.body.decode("latin-1").endswith(ending)
    run.later.append("" if own and not seen.problem else f"{answer.status} {answer.body[:200]!r} {seen.problem}")


Complaints = Iterator[str]


def status_allowed(run: ResponseRun) -> Complaints:
    """A final status of `statuses`, 0 for a close without one; `may_hang` allows none within 5 s."""
    status = run.answer.status if run.answer else 0
    hung = run.answer is None and run.end is None
    if hung and not run.case.expect.get("may_hang"):
        yield f"neither an answer nor a close within {PATIENCE} s"
    if not hung and status not in run.case.expect["statuses"]:
        yield f"status {status}, allowed {run.case.expect['statuses']}"


def well_formed(run: ResponseRun) -> Complaints:
    """What went to the client is well-formed; an error of the gateway is whole."""
    if run.transcript.problem:
        yield f"malformed answer: {run.transcript.problem}"
    if len(run.transcript.final) > 1:
        yield f"{len(run.transcript.final)} answers to one request"
    if run.answer and run.answer.status >= 400 and not run.answer.whole:
        yield "the gateway's own error is not whole"


def body_exact(run: ResponseRun) -> Complaints:
    """`body_b64`, if the status is not the gateway's own error."""
    if "body_b64" in run.case.expect and run.answer and run.answer.status < 400:
        expected = base64.b64decode(run.case.expect["body_b64"])
        if run.answer.body != expected or not run.answer.whole:
            yield f"body {run.answer.body[:200]!r} whole={run.answer.whole}, due {expected[:200]!r}"


def visibly_broken(run: ResponseRun) -> Complaints:
    """`broken`: a head that went out is followed by a body that can be seen not to be whole, and by the end."""
    if run.case.expect.get("broken") and run.answer and run.answer.status < 400:
        if run.answer.whole:
            yield "the client can't see that the body is not whole"
        if run.end is None:
            yield "the connection of a broken answer stays open"


def strings(run: ResponseRun) -> Complaints:
    """`forbid` in nothing that clients receive, `require` in the answer."""
    everything = (run.received + run.later_received).decode("latin-1")
    for needle in run.case.expect.get("forbid", []):
        if holds(everything, needle):
            yield f"{needle!r} in what clients received"
    for needle in run.case.expect.get("require", []):
        if run.answer is None or not holds(run.answer.text, needle):
            yield f"{needle!r} missing in the answer"


def sent_often_enough(run: ResponseRun) -> Complaints:
    """`upstream_requests_max`, and nothing goes to the upstream that no client asked for."""
    limit = run.case.expect.get("upstream_requests_max", len(run.records))
    if len(run.records) > limit:
        yield f"sent {len(run.records)} times, at most {limit} allowed"
    if not run.records:
        yield "never sent to the upstream"
    for stranger in run.strangers:
        yield f"nobody asked the upstream for {stranger.target}"


def next_requests_clean(run: ResponseRun) -> Complaints:
    """`next_request_clean`: each ordinary request right after gets 200 and its own whole answer."""
    if run.case.expect.get("next_request_clean"):
        yield from (f"ordinary request {index + 1} after it: {wrong}" for index, wrong in enumerate(run.later) if wrong)


JUDGES: tuple[Callable[[ResponseRun], Complaints], ...] = (
    status_allowed,
    well_formed,
    body_exact,
    visibly_broken,
    strings,
    sent_often_enough,
    next_requests_clean,
)


def complaints(run: ResponseRun) -> list[str]:
    """Everything that is wrong with a run, each with the name of the rule."""
    return [f"{judge.__name__}: {complaint}" for judge in JUDGES for complaint in judge(run)]


def report(found: list[str], run: ResponseRun) -> str:
    """The complaints with the bytes of both sides."""
    line = run.case.line
    return "\n".join(
        [
            f"{line['id']} ({line['basis']}): {line['title']}",
            *(f"  - {complaint}" for complaint in found),
            f"  upstream sent {run.case.bytes_of('response_b64')[:800]!r} then {run.case.bytes_of('late_b64')!r}",
            f"  client got    {run.received[:1500]!r} then {run.end or 'still open'} after {run.took:.2f} s",
            f"  clients later {run.later_received[:800]!r}",
            f"  why           {line['why']}",
        ]
    )
