"""Is this worker alive, and can it serve? `/health` asks nobody; `/ready` says which dependency is away and since when."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.ingester.status import read_report
from gateway.services import Services


async def health(request: Request) -> Response:
    """GET /health: 200 as long as the process answers. What restarts a worker should look here."""
    del request
    return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


async def ready(request: Request) -> Response:
    """GET /ready: 200 with what is degraded, 503 with reasons. Says that known keys go on while a dependency is away."""
    report = readiness(request.app.state.services)
    status = 503 if report["status"] == "unavailable" else 200
    return JSONResponse(report, status_code=status, headers={"cache-control": "no-store"})


def readiness(services: Services) -> dict[str, Any]:
    """`ready`, `degraded` (works, but slower to notice changes or with a disk that fails) or `unavailable`, with reasons."""
    catalog, limiter, journal = services.catalog.status(), services.limiter.status(), services.journal.status()
    reasons: list[str] = []
    degraded: list[str] = []
    if not catalog.database_ok:
        reasons.append(f"database: {catalog.reason or 'not reachable'}; known keys go on")
    if not limiter.redis_ok:
        reasons.append(f"redis: {limiter.fault or 'not reachable'}; limits are decided locally")
    if catalog.database_ok and not catalog.listener_ok:
        degraded.append(
            f"change listener: {catalog.reason or 'lost'}; changes arrive within {services.settings.keys.degraded_ttl_seconds:g} s"
        )
    purse = services.wallets.status()
    if not purse.ok:
        reasons.append(
            f"credits: {purse.fault or 'the ledger is away'}; what is leased is spent, then priced requests are 503"
        )
    if journal.full:
        reasons.append(f"journal: {journal.fault}; requests are refused")
    elif journal.fault:
        degraded.append(f"journal: {journal.fault}")
    report = read_report(services.settings.gateway.state_folder)
    degraded += report.reasons() if report else []
    status = "unavailable" if reasons else "degraded" if degraded else "ready"
    return {
        "status": status,
        "reasons": reasons + degraded,
        "database": {"ok": catalog.database_ok},
        "listener": {
            "ok": catalog.listener_ok,
            "generation": catalog.generation,
            "age_seconds": round(catalog.age_seconds, 3),
        },
        "redis": {"ok": limiter.redis_ok},
        "credits": {"ok": purse.ok, "leases": purse.leased, "reservations": len(services.holds)},
        "request_log": {"lag_seconds": round(report.lag_seconds, 3) if report else None},
        "journal": {"ok": not journal.full, "segment": journal.segment, "open": journal.open},
    }


def take_readings(services: Services) -> None:
    """Put what the parts know of themselves among the worker's counts."""
    catalog, limiter, journal = services.catalog.status(), services.limiter.status(), services.journal.status()
    purse = services.wallets.status()
    services.counts.gauges.update(
        keys_cached=catalog.keys_cached,
        listener_lost=0 if catalog.listener_ok else 1,
        redis_away=0 if limiter.redis_ok else 1,
        journal_full=1 if journal.full else 0,
        journal_open=journal.open,
        ledger_away=0 if purse.ok else 1,
        credit_leases=purse.leased,
        credit_leased_micro=purse.leased_micro,
        credit_reservations_open=len(services.holds),
    )
    services.counts.totals.update(
        journal_records=journal.records,
        journal_refused=journal.refused,
        limit_decisions_redis=limiter.decisions_redis,
        limit_decisions_local=limiter.decisions_local,
        limit_refusals_shadow=limiter.shadow_refused,
        credit_lease_calls=purse.calls,
        credit_lease_recalls=purse.recalls,
        credit_refusals=purse.refused,
        credit_undecided=purse.undecided,
    )
