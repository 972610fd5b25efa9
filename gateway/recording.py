"""The one record that every exchange leaves in the journal, the one it leaves when its answer streams on, and its counts.

`record` comes before the last byte is sent (G3); `record_begin` when the answer goes on after its first write, or as a
tunnel. Both are synchronous and copy into mapped memory. No secret gets into a record (G7).
"""

import time
from typing import TYPE_CHECKING

from domain.journal.records import (
    BEGIN,
    END,
    OUTCOME_CODE,
    FieldsPart,
    LinePart,
    fields_part,
    line_part,
    pack_known,
    shortened,
)
from domain.refusals import Refusal
from domain.request_log import MASK, scrubbed_path, scrubbed_query, scrubbed_text
from gateway.deciding import trace_of
from gateway.policies.admit_recordable import JournalFull
from gateway.policies.confine_key import holds, presented

if TYPE_CHECKING:
    from domain.quotas.bucket import Bucket
    from domain.snapshots import Match
    from gateway.charges import Charge
    from gateway.exchange import Exchange

_NOBODY = bytes(32)
_NO_ID = bytes(16)
_SERVED = OUTCOME_CODE["served"]
_MASKED = MASK.encode()


def record(exchange: "Exchange", outcome: str, refusal: Refusal | None) -> None:
    """Append the END of this exchange, and count it."""
    total_us = (time.monotonic_ns() - exchange.begun_ns) // 1000
    if refusal.__class__ is not JournalFull:
        exchange.services.journal.append(END, _packed(exchange, outcome, refusal, total_us))
    route = exchange.route
    service = route.service.slug if route is not None else ""
    exchange.services.counts.exchange(service, outcome, exchange.status, total_us)


def record_served(exchanges: "list[Exchange]") -> None:
    """`record` for many at once, each served whole, admitted, and refused by nobody."""
    now_ns, at_us = time.monotonic_ns(), time.time_ns() // 1000
    services = exchanges[0].services
    payloads = []
    totals: dict[tuple[str, int], list[int]] = {}
    bucket: Bucket | None = None
    trace = b""
    charge: Charge | None = None
    charged_for = cost = 0
    for exchange in exchanges:
        known, admission = exchange.line, exchange.admission
        if known is None or admission is None:
            line, fields = parts_of(exchange, confined=exchange.taken)
        else:
            line, fields = known.log, admission.fields.log
        if exchange.decided or exchange.shadowed or exchange.verdict is not None or exchange.bucket is None:
            decision = trace_of(exchange, None)
        else:
            if exchange.bucket is not bucket:
                bucket, trace = exchange.bucket, trace_of(exchange, None)
            decision = trace
        begun_ns, sent_ns = exchange.begun_ns, exchange.sent_ns
        total_us = (now_ns - begun_ns) // 1000
        status = exchange.status
        if exchange.charge is not charge or status != charged_for:
            charge, charged_for = exchange.charge, status
            cost = 0 if charge is None else charge.served(status)
        kind = (exchange.matched.service.slug, status)
        if kind in totals:
            totals[kind].append(total_us)
        else:
            totals[kind] = [total_us]
        payloads.append(
            pack_known(
                exchange.id, line, fields, at_us, total_us, (exchange.first_byte_ns - sent_ns) // 1000, exchange.bytes_in,
                exchange.bytes_out, cost, status, _SERVED, b"", b"",
                exchange.trace_id, decision,
            )
        )  # fmt: skip
    services.journal.append_ends(payloads)
    for (service, status), totals_us in totals.items():
        services.counts.served(service, status, totals_us)


def record_begin(exchange: "Exchange") -> None:
    """Append the BEGIN: should this worker be killed, it becomes the row, with the outcome `cut`."""
    if exchange.finished:
        return
    total_us = (time.monotonic_ns() - exchange.begun_ns) // 1000
    exchange.services.journal.append(BEGIN, shortened(_packed(exchange, "cut", None, total_us, begun=True)))


def _packed(
    exchange: "Exchange", outcome: str, refusal: Refusal | None, total_us: int, *, begun: bool = False
) -> bytes:
    known, admission, sent_ns = exchange.line, exchange.admission, exchange.sent_ns
    if known is None or admission is None:
        line, fields = parts_of(exchange, confined=exchange.taken)
    else:
        line, fields = known.log, admission.fields.log
    upstream_us = ((exchange.first_byte_ns or time.monotonic_ns()) - sent_ns) // 1000 if sent_ns else -1
    charge, cost = exchange.charge, 0
    if charge is not None:
        cost = charge.cost(exchange, outcome)
    return pack_known(
        exchange.id,
        line,
        fields,
        time.time_ns() // 1000,
        total_us,
        upstream_us,
        exchange.bytes_in,
        exchange.bytes_out,
        cost,
        exchange.status,
        OUTCOME_CODE[outcome],
        b"" if refusal is None else refusal.code.encode(),
        b"" if refusal is None else ",".join(refusal.extra.get("violated_policies", ())).encode(),
        exchange.trace_id,
        trace_of(exchange, refusal, begun=begun),
    )


def parts_of(exchange: "Exchange", *, confined: bool) -> tuple[LinePart, FieldsPart]:
    """What is the same for each request with this line, and with these fields from this peer.

    `confined`: the policies have made sure that its key stands nowhere else.
    """
    request, user_agent = exchange.request, b""
    for name, value in request.headers:
        if name == b"user-agent":
            user_agent = value
            break
    path, query = request.target_path, request.query
    if not confined:
        # Perhaps refused because its key stands where it must not; that of an imported key no pattern would find.
        for secret in presented(request):
            path, query, user_agent = (_MASKED if holds(text, secret) else text for text in (path, query, user_agent))
    line = line_part(_target_ids(exchange.route), request.method, scrubbed_path(path), scrubbed_query(query))
    key = exchange.identity
    caller = _NOBODY if key is None else key.organization_id.bytes + key.id.bytes
    return line, fields_part(caller, scrubbed_text(user_agent), exchange.address.encode("utf-8", "replace"))


def _target_ids(route: "Match | None") -> bytes:
    if route is None:
        return _NOBODY
    operation = route.operation
    return route.service.id.bytes + (_NO_ID if operation is None else operation.id.bytes)
