"""The one record that every exchange leaves: what the request log shows, and the counts of /metrics."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domain.refusals import RateLimited, Refusal, TooManyAtOnce
from domain.request_log import LogRow, clean_text, scrub_path, scrub_query

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def record(exchange: "Exchange", outcome: str, refusal: Refusal | None) -> None:
    """Hand the row to the recorder: synchronous, never blocks."""
    now_ns = time.monotonic_ns()
    request, key, route = exchange.request, exchange.identity, exchange.route
    operation = route.operation if route is not None else None
    limit_name = None
    if isinstance(refusal, RateLimited | TooManyAtOnce):
        limit_name = ",".join(refusal.extra["violated_policies"])
    upstream_us = ((exchange.first_byte_ns or now_ns) - exchange.sent_ns) // 1000 if exchange.sent_ns else None
    row = LogRow(
        id=exchange.request_id,
        at=datetime.now(UTC),
        organization_id=key.organization_id if key is not None else None,
        key_id=key.id if key is not None else None,
        service_id=route.service.id if route is not None else None,
        operation_id=operation.id if operation is not None else None,
        method=request.method.decode("latin-1"),
        path=scrub_path(request.target_path),
        query=scrub_query(request.query) if request.has_query else "",
        status=exchange.status,
        outcome=outcome,
        refusal=refusal.code if refusal is not None else None,
        limit_name=limit_name,
        upstream_us=upstream_us,
        total_us=(now_ns - exchange.begun_ns) // 1000,
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        client=exchange.address,
        user_agent=_user_agent(exchange),
        cost_micro=0,
        trace_id=exchange.trace_id.decode() or None,
    )
    exchange.services.recorder.record(row)
    exchange.services.counts.exchange(
        route.service.slug if route is not None else "", outcome, exchange.status, row.total_us
    )


def _user_agent(exchange: "Exchange") -> str:
    for name, value in exchange.request.headers:
        if name == b"user-agent":
            return clean_text(value)
    return ""
