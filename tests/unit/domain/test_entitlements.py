"""What an organization is entitled to, row by row; and that time alone says the same as the gateway's moment."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.entitlements import access_until, entitlements, lifecycle_terms
from domain.snapshots import LimitOverride, OperationSnapshot
from tests.snapshots import limit
from tests.subscriptions import OTHER, after, subscription, terms, trial

FREE = {"price_cents": 0}
NO_GRACE = {"grace_days": 0}
MINUTE = 1 / 1_440

ROWS = {
    # name: (subscription, terms, days after START, state, why, access until, what is due next)
    "no subscription": (None, {}, 1, "none", "no subscription", None, None),
    "paid period": (subscription(), {}, 27.9, "active", "in a paid period", 31, (28, "renew")),
    "at its end the job is late": (subscription(), {}, 28, "grace", "the next period is due", 31, (28, "renew")),
    "late within the grace": (subscription(), {}, 30.9, "grace", "the next period is due", 31, (28, "renew")),
    "late beyond the grace": (subscription(), {}, 31, "ended", "not renewed", None, None),
    "no grace, an hour for the job": (subscription(), NO_GRACE, 28, "grace", "the next period is due", 28 + 1 / 24, (28, "renew")),
    "no grace, beyond that hour": (subscription(), NO_GRACE, 28 + 1 / 24, "ended", "not renewed", None, None),
    "a free plan needs no renewal": (subscription(), FREE, 400, "active", "in a paid period", None, (28, "renew")),
    "to be cancelled": (subscription(cancel_at=after(28)), {}, 27, "active", "to be cancelled", 28, (28, "cancel")),
    "cancel_at reached": (subscription(cancel_at=after(28)), {}, 28, "ended", "cancelled", None, None),
    "cancel_at of a free plan": (subscription(cancel_at=after(28)), FREE, 28, "ended", "cancelled", None, None),
    "cancel_at within the period": (subscription(cancel_at=after(5)), {}, 5, "ended", "cancelled", None, None),
    "downgrade pending": (subscription(next_plan_id=OTHER), {}, 20, "active", "in a paid period", 31, (28, "renew")),
    "trial": (trial(), {}, 13.9, "trialing", "in trial", 14, (14, "end_trial")),
    "trial over by time": (trial(), {}, 14, "ended", "the trial is over", None, None),
    "trial over, a plan follows": (trial(next_plan_id=OTHER), {}, 14, "grace", "the first period is due", 14 + 1 / 24, (14, "end_trial")),
    "trial over, the job never came": (trial(next_plan_id=OTHER), {}, 14 + 1 / 24, "ended", "the trial is over", None, None),
    "trial of a free plan over": (trial(), FREE, 14 + MINUTE, "grace", "the first period is due", 14 + 1 / 24, (14, "end_trial")),
    "trial cancelled at its end": (trial(cancel_at=after(14), next_plan_id=OTHER), {}, 14, "ended", "cancelled", None, None),
    "trial without a moment": (trial(trial_ends_at=None), {}, 13, "trialing", "in trial", 14, (14, "end_trial")),
    "past due, in grace": (subscription(state="past_due", grace_until=after(10)), {}, 9, "grace", "unpaid", 10, (10, "expire")),
    "past due, grace over": (subscription(state="past_due", grace_until=after(10)), {}, 10, "ended", "unpaid", None, None),
    "past due by plain SQL": (subscription(state="past_due"), {}, 30, "grace", "unpaid", 31, (31, "expire")),
    "past due, free plan": (subscription(state="past_due"), FREE, 31, "ended", "unpaid", None, None),
    "past due and cancelled": (subscription(state="past_due", grace_until=after(10), cancel_at=after(9)), {}, 9, "ended", "cancelled", None, None),
    "cancelled": (subscription(state="cancelled", ended_at=after(3)), {}, 4, "ended", "cancelled", None, None),
    "expired": (subscription(state="expired", ended_at=after(3)), FREE, 4, "ended", "expired", None, None),
    "pinned to a version": (subscription(plan_version_id=UUID(int=9)), {}, 1, "active", "in a paid period", 31, (28, "renew")),
}  # fmt: skip


def moment(days):
    return None if days is None else after(days)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_state_and_what_comes(row):
    held, changes, days, state, why, until, due = row
    hour = limit("hour", 1000)
    found = entitlements(terms(hour, **changes), (), held, after(days))
    assert (found.state, found.why) == (state, why)
    assert found.until == moment(until)
    assert found.next_change == (None if due is None else (after(due[0]), due[1]))
    assert found.access == (state in {"active", "trialing", "grace"})
    assert found.limits == ((hour,) if found.access else ())


OVERRIDES = {
    "none": ((), 1, (1000, False)),
    "another amount": ((LimitOverride("hour", 5),), 1, (5, False)),
    "only counted": ((LimitOverride("hour", None, True),), 1, (1000, True)),
    "both": ((LimitOverride("hour", 5, True),), 1, (5, True)),
    "of another limit": ((LimitOverride("day", 5),), 1, (1000, False)),
    "until later": ((LimitOverride("hour", 5, None, after(2).timestamp()),), 1.99, (5, False)),
    "ends at its moment": ((LimitOverride("hour", 5, None, after(2).timestamp()),), 2, (1000, False)),
    "ended": ((LimitOverride("hour", 5, None, after(2).timestamp()),), 20, (1000, False)),
}


@pytest.mark.parametrize("row", OVERRIDES.values(), ids=OVERRIDES)
def test_overrides(row):
    overrides, days, expected = row
    hour = limit("hour", 1000)
    (found,) = entitlements(terms(hour), overrides, subscription(), after(days)).limits
    assert (found.amount, found.shadow) == expected
    assert found.id == hour.id


def test_a_trials_calls_are_one_more_limit_and_only_of_the_trial():
    sold = terms(limit("hour", 1000), trial_calls=50)
    in_trial = entitlements(sold, (LimitOverride("trial", 70),), trial(), after(1)).limits
    assert [(one.name, one.amount, one.period) for one in in_trial] == [("hour", 1000, "hour"), ("trial", 70, "month")]
    assert in_trial[1].id == entitlements(sold, (), trial(), after(2)).limits[1].id
    assert [one.name for one in entitlements(sold, (), subscription(), after(1)).limits] == ["hour"]


def test_quotas_overage_and_prices():
    priced, other = (OperationSnapshot(uuid4(), "o", "GET", "/o", 5, reserved=False, enabled=True) for _ in range(2))
    quota = replace(limit("month", 100, name="units"), unit="quota")
    sold = terms(limit("hour", 1000), quota, prices={priced.id: 7})
    found = entitlements(sold, (), subscription(), after(1))
    assert [one.name for one in found.limits] == ["hour"], "no quota counts for who pays with credits"
    assert [one.name for one in entitlements(sold, (), subscription(), after(1), "quota").quotas] == ["units"]
    assert found.overage == "block"
    assert [found.price_micro(operation) for operation in (priced, other, None)] == [7, 5, 0]
    assert entitlements(sold, (), subscription(), after(1), "quota").price_micro(priced) == 0
    beyond = entitlements(replace(sold, overage="credits"), (), subscription(), after(1), "quota")
    assert beyond.price_micro(priced) == 7
    assert entitlements(sold, (), subscription(), after(99)).price_micro(priced) == 0


DAYS = st.integers(0, 60).map(lambda hours: after(hours / 2))
SUBSCRIPTIONS = st.builds(
    lambda state, period_end, cancel_at, next_plan, trial_end, grace: subscription(
        state=state,
        period_end=period_end + timedelta(hours=1),
        cancel_at=cancel_at,
        next_plan_id=next_plan,
        trial_ends_at=trial_end,
        grace_until=grace,
        ended_at=None if state in {"trialing", "active", "past_due"} else after(0),
    ),
    st.sampled_from(["trialing", "active", "past_due", "cancelled", "expired"]),
    DAYS,
    st.none() | DAYS,
    st.none() | st.just(OTHER),
    st.none() | DAYS,
    st.none() | DAYS,
)


@given(held=SUBSCRIPTIONS, price=st.sampled_from([0, 4_900]), grace=st.integers(0, 5), now=DAYS)
def test_the_gateways_moment_says_the_same(held, price, grace, now):
    sold = terms(price_cents=price, grace_days=grace)
    until = access_until(held, lifecycle_terms(sold))
    assert entitlements(sold, (), held, now).access == (until is None or now < until)
