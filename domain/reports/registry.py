"""Every report that there is, by its slug."""

from dataclasses import replace

from domain.reports.errors import errors_by_operation, errors_by_service
from domain.reports.growth import cohorts, funnel
from domain.reports.health import system_health
from domain.reports.key_hygiene import LISTS, key_hygiene
from domain.reports.latency import latency_by_operation, latency_by_service, slowest_operations
from domain.reports.limit_pressure import limit_pressure
from domain.reports.money import credit_flows
from domain.reports.organizations import ORDERS, fading_organizations, top_organizations
from domain.reports.planning import planned
from domain.reports.refusals import most_refused
from domain.reports.shadows import shadow_limits
from domain.reports.shapes import ReportKind
from domain.reports.traffic import live_traffic

_USAGE = ("window", "organization", "service", "operation", "limit")

_KINDS = (
    ReportKind("live-traffic", "Live traffic", "What is going on right now, minute by minute?", (), live_traffic, "1h"),
    ReportKind("errors-by-service", "Errors by service", "Which services fail, and since when?", _USAGE, errors_by_service),
    ReportKind(
        "errors-by-operation", "Errors by operation", "Which operations fail most, and how?", _USAGE, errors_by_operation
    ),
    ReportKind(
        "latency-by-service", "Latency by service", "How long do callers wait for each service?", _USAGE, latency_by_service
    ),
    ReportKind(
        "latency-by-operation", "Latency by operation", "How long do callers wait for each operation?", _USAGE,
        latency_by_operation,
    ),
    ReportKind(
        "slowest-operations", "Slowest operations", "Which operations keep callers waiting longest?", _USAGE,
        slowest_operations,
    ),
    ReportKind("most-refused", "Most refused operations", "What do we refuse most, and for which reason?", _USAGE, most_refused),
    ReportKind(
        "limit-pressure", "Limit pressure", "Who is closest to which limit now?", ("organization", "limit"), limit_pressure
    ),
    ReportKind(
        "shadow-limits", "Shadow limits", "Whom would limits in shadow mode refuse if they were enforced?",
        ("window", "organization", "limit"), shadow_limits, "7d",
    ),
    ReportKind(
        "credit-flows", "Revenue and credit flows", "Where did credits come from, where did they go, what do we owe?",
        ("window", "organization"), credit_flows, "30d",
    ),
    ReportKind(
        "top-organizations", "Top organizations", "Who uses most?", ("window", "organization", "limit", "which"),
        top_organizations, "7d", tuple(ORDERS),
    ),
    ReportKind(
        "fading-organizations", "Fading organizations", "Who uses less than the week before?", ("organization", "limit"),
        fading_organizations, "7d",
    ),
    ReportKind("cohorts", "Cohorts of sign-ups", "Do those who sign up come to call, and to pay?", ("window",), cohorts, "90d"),
    ReportKind("funnel", "Funnel", "Where do those who sign up stop?", ("window",), funnel, "30d"),
    ReportKind(
        "key-hygiene", "Key hygiene", "Which keys should be revoked, expire, or be tied to addresses?",
        ("organization", "limit", "page", "which"), key_hygiene, "90d", tuple(LISTS),
    ),
    ReportKind("system-health", "System health", "Does the installation keep up?", (), system_health, "1h"),
)  # fmt: skip

REPORTS: dict[str, ReportKind] = {kind.slug: replace(kind, make=planned(kind.make)) for kind in _KINDS}
"""In the order in which they are shown."""
