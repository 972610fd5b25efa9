"""What must hold for a raw request case: one small judge per rule of tests/cases/README.md. Each yields complaints."""

import base64
from collections.abc import Callable, Iterator

from tests.conformance.conversations import Bench, Run
from tests.wire.grammar import Fields, holds
from tests.wire.upstream import Recorded

Complaints = Iterator[str]
FORBIDDEN_NAMES = {"keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"}
CONNECTION_MEMBERS = {"close", "keep-alive", "upgrade", "te"}
SPOOFED = ("spoofed", "203.0.113.66", "2001:db8::66")
FRAMING_NAMES = {"transfer-encoding", "content-length", "host", "connection", "x-api-key", "x-real-ip", "forwarded"}


def answered_or_closed(bench: Bench, run: Run) -> Complaints:
    """An answer comes, or the connection closes, within 5 s."""
    if run.trouble:
        yield run.trouble
    if run.silent:
        yield "neither an answer nor a close within 5 s"


def status_allowed(bench: Bench, run: Run) -> Complaints:
    """The first final answer has one of the statuses; 0 stands for none."""
    allowed = run.case.expect["statuses"]
    if not run.trouble and not run.silent and run.status not in allowed:
        yield f"status {run.status}, allowed {allowed}"


def no_fault_of_ours(bench: Bench, run: Run) -> Complaints:
    """A 5xx other than 501 and 505 is a failure unless it is allowed."""
    for answer in run.transcript.final:
        if answer.status >= 500 and answer.status not in {501, 505, *run.case.expect["statuses"]}:
            yield f"a {answer.status}"


def answers_well_formed(bench: Bench, run: Run) -> Complaints:
    """What the client gets is well-formed, whole, and nothing comes behind a closing answer."""
    seen = run.transcript
    if seen.problem:
        yield f"malformed answer: {seen.problem}"
    for index, answer in enumerate(seen.final):
        if not answer.whole:
            yield f"answer {index + 1} is not whole"
        if answer.closes and index + 1 < len(seen.final):
            yield f"answer {index + 2} comes behind one that announced the close"
        if answer.values("transfer-encoding") and b" HTTP/1.0\r\n" in run.sent.partition(b"\n")[0] + b"\n":
            yield "chunked to an HTTP/1.0 client"


def no_interim_where_forbidden(bench: Bench, run: Run) -> Complaints:
    """`no_interim`, and never one to an HTTP/1.0 client."""
    old = run.sent.partition(b"\n")[0].rstrip().endswith(b"HTTP/1.0")
    if run.transcript.interim and (old or run.case.expect.get("no_interim")):
        yield f"interim answer {run.transcript.interim[0].status}"


def answer_count(bench: Bench, run: Run) -> Complaints:
    """No more final answers than requests."""
    limit = run.case.expect.get("answers_max", 2 if run.case.second_request else 1)
    if len(run.transcript.final) > limit:
        yield f"{len(run.transcript.final)} answers, at most {limit} allowed"


def answers_in_order(bench: Bench, run: Run) -> Complaints:
    """The i-th answer belongs to the i-th request."""
    for answer, ending in zip(run.transcript.final, run.case.expect.get("answers", []), strict=False):
        record = bench.record_of(answer)
        if answer.status == 200 and (record is None or not record.target.endswith(ending)):
            yield f"an answer to {record.target if record else '?'} where one to {ending} was due"


def second_status(bench: Bench, run: Run) -> Complaints:
    """`followup_statuses` for the second answer, if there is one."""
    allowed = run.case.expect.get("followup_statuses")
    if allowed and len(run.transcript.final) > 1 and run.transcript.final[1].status not in allowed:
        yield f"second status {run.transcript.final[1].status}, allowed {allowed}"


def closed_where_due(bench: Bench, run: Run) -> Complaints:
    """`must_close`: closed within 5 s of the bytes. A closing answer is followed by the close as well."""
    said = any(answer.closes for answer in run.transcript.final)
    if (run.case.expect["must_close"] or said) and not run.silent and not run.trouble and not run.closed_in_time:
        yield "the connection was not closed"


def ordinary_request_after(bench: Bench, run: Run) -> Complaints:
    """If the connection stays open, an ordinary request on it gets its own answer."""
    if run.ordinary_after == "missing":
        yield "an ordinary request behind the case got no answer of its own"


def nothing_forbidden_in_answers(bench: Bench, run: Run) -> Complaints:
    """`forbid_answer`, and the key, are in nothing that the client receives."""
    received = run.received.decode("latin-1")
    for needle in [bench.key, *map(bench.placeholders.text, run.case.expect.get("forbid_answer", []))]:
        if holds(received, needle):
            yield f"{needle!r} in what the client received"


def arrivals(bench: Bench, run: Run) -> Complaints:
    """How many requests arrived, and how many of them whole."""
    expect, whole = run.case.expect, sum(record.state == "whole" for record in run.records)
    if len(run.records) > expect["upstream_requests_max"]:
        yield f"{len(run.records)} requests at the upstream, at most {expect['upstream_requests_max']} allowed"
    if whole > expect.get("upstream_complete_max", whole):
        yield f"{whole} whole requests at the upstream, at most {expect['upstream_complete_max']} allowed"
    if whole < expect.get("upstream_requests_min", 0):
        yield f"{whole} whole requests at the upstream, at least {expect['upstream_requests_min']} due"
    if any(record.state == "begun" for record in run.records):
        yield "a request at the upstream neither ends nor breaks off"


def forwarded_well_formed(bench: Bench, run: Run) -> Complaints:
    """What the upstream gets is well-formed, and nothing is smuggled."""
    for record in run.records:
        if record.state == "malformed":
            yield f"malformed request at the upstream: {record.problem}"
        if "SMUGGLED-" in record.target:
            yield f"smuggled: {record.target}"


def body_intact(bench: Bench, run: Run) -> Complaints:
    """`upstream_body_b64` is the body of the first whole request."""
    whole = next((record for record in run.records if record.state == "whole"), None)
    if "upstream_body_b64" in run.case.expect and whole is not None and whole.request is not None:
        expected = base64.b64decode(run.case.expect["upstream_body_b64"])
        if whole.request.body != expected:
            yield f"body {whole.request.body[:200]!r} at the upstream instead of {expected[:200]!r}"


def required_and_forbidden(bench: Bench, run: Run) -> Complaints:
    """`require_upstream`, `forbid_upstream`."""
    for record in run.records:
        for needle in map(bench.placeholders.text, run.case.expect.get("forbid_upstream", [])):
            if holds(record.text, needle):
                yield f"{needle!r} at the upstream"
    for needle in run.case.expect.get("require_upstream", []):
        if run.records and not any(holds(record.text, needle) for record in run.records):
            yield f"{needle!r} did not reach the upstream"


def key_stays_here(bench: Bench, run: Run) -> Complaints:
    """The upstream never sees the key outside a body."""
    for record in run.records:
        if bench.key in record.text:
            yield "the key is at the upstream"


def hop_by_hop_stays_here(bench: Bench, run: Run) -> Complaints:
    """Hop-by-hop, reserved and spoofed fields never cross."""
    for record in run.records:
        yield from hop_by_hop_complaints(record)


def hop_by_hop_complaints(record: Recorded) -> Complaints:
    """Fields of one request at the upstream that must not have crossed."""
    fields: Fields = [*record.request.fields, *record.request.trailers] if record.request else []
    for name, value in fields:
        if _must_not_cross(name.lower(), value):
            yield f"{name}: {value[:80]} at the upstream"


def _must_not_cross(name: str, value: str) -> bool:
    members = {part.strip().lower() for part in value.split(",")}
    plain = name.replace("_", "-")
    reserved = plain.startswith(("x-pe-", "x-forwarded-")) or plain in FRAMING_NAMES
    return (
        name in FORBIDDEN_NAMES
        or (name == "te" and members != {"trailers"})
        or (name == "upgrade" and members != {"websocket"})
        or (name == "connection" and not members <= CONNECTION_MEMBERS)
        or ("_" in name and reserved)
        or (reserved and any(spoof in value for spoof in SPOOFED))
    )


def own_fields_kept(bench: Bench, run: Run) -> Complaints:
    """`own_headers_kept`: what the gateway adds to every request is in this one too, with our values."""
    if run.case.expect.get("own_headers_kept"):
        for record in run.records:
            have = {name.lower(): value for name, value in record.request.fields} if record.request else {}
            for name in bench.own_fields:
                if name not in have or any(spoof in have[name] for spoof in SPOOFED):
                    yield f"{name}: {have.get(name)} at the upstream, {bench.own_fields[name]} in an ordinary request"


JUDGES: tuple[Callable[[Bench, Run], Complaints], ...] = (
    answered_or_closed,
    status_allowed,
    no_fault_of_ours,
    answers_well_formed,
    no_interim_where_forbidden,
    answer_count,
    answers_in_order,
    second_status,
    closed_where_due,
    ordinary_request_after,
    nothing_forbidden_in_answers,
    arrivals,
    forwarded_well_formed,
    body_intact,
    required_and_forbidden,
    key_stays_here,
    hop_by_hop_stays_here,
    own_fields_kept,
)


def complaints(bench: Bench, run: Run) -> list[str]:
    """Everything that is wrong with a run, each with the name of the rule."""
    return [f"{judge.__name__}: {complaint}" for judge in JUDGES for complaint in judge(bench, run)]


def report(found: list[str], run: Run) -> str:
    """The complaints with the bytes of all sides."""
    case = run.case.line
    return "\n".join(
        [
            f"{case['id']} ({case['basis']}): {case['title']}",
            *(f"  - {complaint}" for complaint in found),
            f"  sent      {_short(run.sent)}",
            f"  received  {_short(run.received)} then {run.end or 'still open'}",
            *(f"  upstream  {_record(record)}" for record in run.records),
            f"  why       {case['why']}",
        ]
    )


def _record(record: Recorded) -> str:
    return f"#{record.number} {record.state} {record.problem} {_short(bytes(record.raw))}"


def _short(data: bytes) -> str:
    return repr(data) if len(data) <= 1500 else f"{data[:1000]!r} ... {len(data)} bytes ... {data[-200:]!r}"
