"""Traffic, errors, latency and refusals are what was requested, counted by hand."""

from datetime import timedelta

from domain.histogram import EDGES_US, bucket_of
from domain.journal.decision import DecisionForm
from domain.snapshots import LimitSnapshot
from tests.integration.domain.reports.conftest import facts_of, rows_of
from tests.usage import call

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def test_live_traffic_counts_the_last_sixty_minutes_of_everybody(shop, reports):
    await shop.store(
        shop.call("acme", total_us=1_000),
        shop.call("beta", total_us=1_000, status=502, outcome="failed"),
        shop.call("beta", 5 * MINUTE, status=429, outcome="refused"),
        shop.call("acme", 61 * MINUTE),
        call(None, shop.now, status=401, outcome="refused"),
    )
    report = await reports.make("live-traffic")
    rows = rows_of(report)
    assert len(rows) == 60
    assert [rows[0][name] for name in ("requests", "errors", "refused")] == [3, 2, 1]
    assert [rows[5][name] for name in ("requests", "errors", "refused")] == [1, 1, 1]
    assert facts_of(report) == {"requests": 4, "error_share": 75.0, "refused_share": 50.0}
    low, high = EDGES_US[bucket_of(1_000) - 1], EDGES_US[bucket_of(1_000)]
    assert low / 1_000 <= rows[0]["p50"] <= high / 1_000
    assert report.series.lines[0].values == tuple(row["requests"] for row in reversed(rows))


async def test_what_is_not_summed_up_yet_is_told(shop, reports):
    await shop.store(shop.call("acme", 30 * MINUTE), folded=False)
    report = await reports.make("live-traffic")
    assert facts_of(report)["requests"] == 0
    assert f"Complete up to {shop.now - 30 * MINUTE:%Y-%m-%d %H:%M}" in report.sentence
    assert "are being summed up" in report.sentence


async def test_errors_are_told_apart_by_service_and_operation(shop, reports):
    await shop.store(
        *[shop.call("acme") for _ in range(6)],
        shop.call("acme", operation=shop.slow, status=404),
        shop.call("beta", operation=shop.slow, status=502, outcome="failed"),
        shop.call("beta", operation=shop.slow, status=200, outcome="cut"),
        shop.call("beta", operation=shop.slow, status=429, outcome="refused"),
        shop.call("beta", 3 * DAY, operation=shop.slow, status=500),
    )
    for window, failures in (("1h", 2), ("24h", 2), ("7d", 3), ("30d", 3), ("90d", 3)):
        report = await reports.make("errors-by-service", window=window)
        assert rows_of(report) == [
            {
                "service": "Maps", "requests": 8 + failures, "errors": 2 + failures,
                "error_share": round(100 * (2 + failures) / (8 + failures), 2), "refused": 1, "client_errors": 1,
                "failures": failures,
            }
        ]  # fmt: skip
        lines = {line.name: sum(line.values) for line in report.series.lines}
        assert lines == {"failures": failures, "client_errors": 1, "refused": 1}, window
        assert report.filters[0]["service"] == "maps"
    operations = await reports.make("errors-by-operation", window="24h")
    assert [(row["operation"], row["service"], row["errors"], row["error_share"]) for row in rows_of(operations)] == [
        ("slow", "Maps", 4, 100.0)
    ]
    assert operations.filters[0]["operation"] == str(shop.slow)


async def test_a_report_of_one_organization_counts_only_its_own(shop, reports):
    await shop.store(*[shop.call("acme", status=500) for _ in range(3)], shop.call("beta", status=500))
    for window in ("24h", "7d", "90d"):
        for slug in ("errors-by-service", "errors-by-operation", "latency-by-service", "latency-by-operation"):
            report = await reports.make(slug, window=window, organization="acme")
            assert [row["requests"] for row in rows_of(report)] == [3], (slug, window)
            assert report.filters[0]["organization"] == "acme"
    everybody = await reports.make("errors-by-service", window="90d")
    assert rows_of(everybody)[0]["requests"] == 4


async def test_filters_of_service_and_operation_restrict_rows_and_chart(shop, reports):
    await shop.store(shop.call("acme", status=500), shop.call("acme", operation=shop.slow, status=500))
    report = await reports.make("errors-by-operation", service="maps", operation=shop.slow)
    assert [(row["operation"], row["errors"]) for row in rows_of(report)] == [("slow", 1)]
    assert sum(report.series.lines[0].values) == 1


async def test_the_slowest_operation_comes_first(shop, reports):
    await shop.store(
        *[shop.call("acme", total_us=2_000) for _ in range(20)],
        *[shop.call("acme", operation=shop.slow, total_us=3_000_000) for _ in range(4)],
    )
    report = await reports.make("slowest-operations")
    rows = rows_of(report)
    assert [row["operation"] for row in rows] == ["slow", "fast"]
    assert (rows[0]["requests"], rows[0]["mean"], rows[1]["mean"]) == (4, 3_000.0, 2.0)
    assert 2_300 < rows[0]["p95"] < 3_800
    assert int(report.filters[0]["min_ms"]) <= rows[0]["p95"]
    by_requests = rows_of(await reports.make("latency-by-operation"))
    assert [row["operation"] for row in by_requests] == ["fast", "slow"]
    one = await reports.make("latency-by-operation", limit=1)
    assert (len(one.rows), one.more) == (1, True)
    service = await reports.make("latency-by-service")
    assert (rows_of(service)[0]["requests"], rows_of(service)[0]["mean"]) == (
        24,
        round((40_000 + 12_000_000) / 24_000, 3),
    )
    assert service.series.lines[1].values[-1] > 2_300


async def test_refusals_are_told_with_reason_and_limit(shop, reports):
    limited = {"status": 429, "outcome": "refused", "refusal": b"rate_limited", "limit_name": b"hour"}
    await shop.store(
        *[shop.call("acme", **limited) for _ in range(3)],
        shop.call("beta", **limited),
        shop.call("beta", status=402, outcome="refused", refusal=b"out_of_credits"),
        call(None, shop.now, status=401, outcome="refused", refusal=b"invalid_api_key"),
        shop.call("beta", status=404),
    )
    for window in ("1h", "7d", "90d"):
        report = await reports.make("most-refused", window=window)
        found = [
            (row["operation"], row["reason"], row["limit"], row["refused"], row["share"]) for row in rows_of(report)
        ]
        assert found[0] == ("fast", "rate_limited", "hour", 4, 66.67)
        assert sorted(found[1:]) == [
            ("Other paths", "invalid_api_key", None, 1, 16.67), ("fast", "out_of_credits", None, 1, 16.67),
        ]  # fmt: skip
        assert facts_of(report) == {"refused": 6}
        assert sum(report.series.lines[0].values) == 6
        assert report.filters[0]["refusal"] == "rate_limited"
    own = await reports.make("most-refused", organization="beta")
    assert sorted((row["reason"], row["refused"]) for row in rows_of(own)) == [
        ("out_of_credits", 1),
        ("rate_limited", 1),
    ]


async def test_shadow_limits_tell_whom_they_would_refuse(shop, reports, database):
    limits = [
        LimitSnapshot(row["id"], row["name"], row["amount"], row["period"], row["scope"], shadow=True)
        for row in await database.fetch("select * from plan_limit order by name")
    ]
    form = DecisionForm(shop.acme.id, limits)
    numbers = (0, 1) * len(limits)
    hour = next(limit for limit in limits if limit.period == "hour")
    month = next(limit for limit in limits if limit.period == "month")
    over = form.pack(8, 0, 0, 1, numbers, (), (hour.name,))
    over_both = form.pack(8, 0, 0, 1, numbers, (), (hour.name, month.name))
    enforced = form.pack(5, 0, 0, 1, numbers, (hour.name,))
    await shop.store(
        *[shop.call("acme", decision=over) for _ in range(2)],
        shop.call("acme", decision=over_both),
        shop.call("acme"),
        shop.call("beta", 2 * HOUR, decision=over),
        shop.call("beta", decision=enforced, status=429, outcome="refused", refusal=b"rate_limited"),
    )
    for window in ("24h", "7d", "90d"):
        report = await reports.make("shadow-limits", window=window)
        found = [
            (row["limit"], row["terms"], row["plan"], row["organization"], row["would_refuse"])
            for row in rows_of(report)
        ]
        assert found[0] == (hour.name, "100/hour", "Starter", "Acme", 3)
        assert sorted(found[1:]) == sorted([
            (hour.name, "100/hour", "Starter", "Beta", 1), (month.name, "1000/month", "Starter", "Acme", 1),
        ])  # fmt: skip
        assert rows_of(report)[0]["share"] == 75.0
        assert facts_of(report) == {"would_refuse": 5}
        assert sum(report.series.lines[0].values) == 5
    assert (await reports.make("most-refused")).rows[0][4] == 1
    beta = await reports.make("shadow-limits", organization="beta")
    assert [row["would_refuse"] for row in rows_of(beta)] == [1]
