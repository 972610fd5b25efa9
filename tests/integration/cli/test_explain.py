"""`logs explain`: admitted, rate-limited, quota-limited, shadow-limited, revoked; in words and as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from domain import keys, organizations, plans
from domain.decision_reading import explain
from domain.entitlements import TRIAL_LIMIT, trial_limit
from domain.journal.decision import DecisionForm, Flag, KeyFault, Step
from domain.limit_texts import LimitSpec
from domain.log_store.store import POSTGRES
from domain.settings import KeySettings
from domain.snapshots import LimitSnapshot
from domain.spend_caps import cap_limits
from tests.databases import PEPPERS
from tests.gateways import connected
from tests.snapshots import log_row, store

ROOT = Path(__file__).resolve().parents[3]


class Shop:
    """A customer on a plan with a minute, a day and a shadow limit."""

    @classmethod
    async def open(cls, connection) -> "Shop":
        self = cls()
        self.connection = connection
        specs = [
            LimitSpec("minute", 100, "minute"),
            LimitSpec("day", 5_000, "day", "key"),
            LimitSpec("burst", 5, "second", shadow=True),
        ]
        await plans.create(connection, slug="pro", limits=specs)
        self.organization = await organizations.create(connection, name="Acme", plan_slug="pro", slug="acme")
        settings = KeySettings(peppers=PEPPERS)
        self.key = (await keys.create(connection, settings, organization_id=self.organization.id, name="ci")).record
        self.plan_id = await connection.fetchval("select id from plan where slug = 'pro'")
        rows = await connection.fetch("select id, name, amount, period, scope, shadow from plan_limit order by amount")
        self.limits = [LimitSnapshot(**row) for row in rows]
        return self

    def row(self, trace: bytes, **changes):
        return log_row(organization_id=self.organization.id, key_id=self.key.id, decision=trace, **changes)

    def trace(self, step: Step, *, violated=(), shadow=(), lease: int = 77, flags: int = 0) -> bytes:
        form = DecisionForm(self.plan_id, self.limits)
        return form.pack(step, KeyFault.NONE, flags, lease, (4, 1, 98, 40, 4_997, 50_000), violated, shadow)


@pytest.fixture
async def shop(fresh_database_url):
    async with connected(fresh_database_url) as connection:
        yield await Shop.open(connection)


async def explained(shop, row):
    await store(shop.connection, [row])
    return await explain(shop.connection, row.id, POSTGRES)


async def test_an_admitted_request(shop):
    found = await explained(shop, shop.row(shop.trace(Step.ANSWER)))
    assert found.admitted
    assert {step.verdict for step in found.steps} == {"passed"}
    assert (found.source, found.lease_id, found.plan) == ("lease", 77, "pro")
    limits = {limit.name: limit for limit in found.limits}
    assert (limits["minute"].remaining, limits["minute"].amount, limits["minute"].reset_seconds) == (98, 100, 40)
    assert limits["day"].text == "5000/day per key"


async def test_limits_that_were_sold_and_are_no_longer_the_plans_have_their_names(shop):
    await plans.change(shop.connection, "pro", limits=[LimitSpec("other", 1, "hour")])
    shop.limits[2] = trial_limit(shop.plan_id, 5_000)
    found = await explained(shop, shop.row(shop.trace(Step.ANSWER)))
    assert {limit.name: limit.text for limit in found.limits} == {
        "burst": "5/second",
        "minute": "100/minute",
        TRIAL_LIMIT: "5000/month",
    }


@pytest.mark.parametrize("name", ["minute", "day"])
async def test_a_rate_limited_and_a_quota_limited_request(shop, name):
    trace = shop.trace(Step.LIMIT, violated=[name], flags=Flag.WAITED | Flag.RECALLED)
    row = shop.row(trace, status=429, outcome="refused", refusal="rate_limited", limit_name=name, upstream_us=None)
    found = await explained(shop, row)
    assert not found.admitted
    verdicts = {step.step: step for step in found.steps}
    assert verdicts["access"].verdict == "passed"
    assert verdicts["limits"].verdict == "refused"
    assert f"used up: {name}" in verdicts["limits"].text
    assert "other workers were asked" in verdicts["limits"].text
    assert verdicts["upstream"].verdict == "not-reached"
    assert [limit.name for limit in found.limits if limit.verdict == "exceeded"] == [name]
    assert found.source == "redis"


async def test_quotas_and_spend_caps_are_named(shop):
    await shop.connection.execute("update plan_limit set unit = 'quota', scope = 'organization' where name = 'day'")
    (cap,) = cap_limits(None, None, 2_500_000, None)
    form = DecisionForm(shop.plan_id, [*shop.limits, cap])
    numbers = (4, 1, 98, 40, 0, 50_000, 100_000, 900)
    trace = form.pack(Step.LIMIT, KeyFault.NONE, Flag.OVERAGE, 7, numbers, [cap.name])
    row = shop.row(trace, status=402, outcome="refused", refusal="spend_cap_reached", limit_name=cap.name)
    found = await explained(shop, row)
    limits = {limit.name: limit for limit in found.limits}
    assert limits["day"].text == "5000/day (quota)"
    assert (limits["key_spend_cap.day"].text, limits["key_spend_cap.day"].verdict) == (
        "2.5 credits/day of the key",
        "exceeded",
    )
    text = next(step.text for step in found.steps if step.step == "limits")
    assert "used up: key_spend_cap.day" in text
    assert "only credits are left" in text


@pytest.mark.parametrize(
    ("refusal", "status", "flags"),
    [
        ("still_running", 409, Flag.KEYED),
        ("idempotency_mismatch", 422, Flag.KEYED),
        ("invalid_idempotency_key", 400, 0),
    ],
)
async def test_what_an_idempotency_key_refuses_is_a_step_of_its_own(shop, refusal, status, flags):
    row = shop.row(shop.trace(Step.REPEAT, flags=flags), status=status, outcome="refused", refusal=refusal)
    steps = [(step.step, step.verdict) for step in (await explained(shop, row)).steps]
    assert steps[-4:] == [
        ("idempotency", "refused"), ("credits", "not-reached"), ("upstream", "not-reached"), ("answer", "not-reached"),
    ]  # fmt: skip
    assert {verdict for _, verdict in steps[:-4]} == {"passed"}


async def test_a_request_under_an_idempotency_key_says_what_that_led_to(shop):
    texts = {}
    for step, flags in ((Step.ANSWER, Flag.KEYED), (Step.REPEAT, Flag.KEYED | Flag.REPLAYED), (Step.ANSWER, 0)):
        found = await explained(shop, shop.row(shop.trace(step, flags=flags)))
        texts[flags] = {each.step: each.text for each in found.steps}
    assert texts[Flag.KEYED]["idempotency"] == "the first under its Idempotency-Key"
    assert "has an outcome" in texts[Flag.KEYED | Flag.REPLAYED]["idempotency"]
    assert "idempotency" not in texts[0]


async def test_a_shadow_limited_request_is_admitted(shop):
    found = await explained(shop, shop.row(shop.trace(Step.ANSWER, shadow=["burst"], flags=Flag.LOCAL)))
    assert found.admitted
    assert [limit.name for limit in found.limits if limit.verdict == "exceeded-shadow"] == ["burst"]
    assert "in shadow: burst" in next(step.text for step in found.steps if step.step == "limits")
    assert found.source == "local"


async def test_a_revoked_key_is_named_to_the_operator(shop):
    trace = DecisionForm().pack(Step.KEY, KeyFault.REVOKED, Flag.COLD_KEY, 0, ())
    row = shop.row(trace, status=401, outcome="refused", refusal="invalid_api_key", upstream_us=None)
    found = await explained(shop, row)
    key = next(step for step in found.steps if step.step == "key")
    assert key.verdict == "refused"
    assert "revoked (key ci of acme)" in key.text
    assert found.source == "none"
    assert not found.limits


async def test_a_row_without_a_trace_and_one_of_another_version(shop):
    for trace in (b"", b"\xff" + bytes(40)):
        found = await explained(shop, shop.row(trace, outcome="cut", status=200))
        assert not found.traced
        assert "cut" in found.summary


async def test_the_command(shop, fresh_database_url, tmp_path):
    trace = shop.trace(Step.LIMIT, violated=["minute"])
    row = shop.row(trace, status=429, outcome="refused", refusal="rate_limited", limit_name="minute", path="/x\x1b[31m")
    await store(shop.connection, [row])

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "cli.main", "logs", "explain", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": fresh_database_url},
            cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    shown = run(str(row.id)).stdout
    assert "Refused with 429: Limit reached (rate_limited)." in shown
    assert "USED UP" in shown
    assert "\x1b" not in shown
    as_json = json.loads(run(str(row.id), "--json").stdout)
    assert (as_json["request"]["id"], as_json["admitted"]) == (str(row.id), False)
    assert as_json["limits"][0]["verdict"] in {"room", "exceeded"}
    unknown = run(str(uuid4()))
    assert unknown.returncode == 1
    assert "LOG_RETENTION_DAYS" in unknown.stderr
