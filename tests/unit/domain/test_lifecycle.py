"""What a subscription becomes: the table of what is due, and that the order of asking and settling changes nothing (L13)."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import lifecycle
from domain.billing_periods import months_after
from domain.faults import Conflict, InvalidValue
from domain.lifecycle import Terms, settled
from domain.quotas.periods import month_bounds
from tests.subscriptions import OTHER, PLAN, START, after, subscription, trial

PAID, FREE = Terms(free=False, grace_days=3), Terms(free=True, grace_days=3)
VERSION = UUID(int=9)

DUE = {
    # name: (before, terms, days after START, changes that it has then)
    "nothing yet": (subscription(plan_version_id=VERSION), PAID, 27.9, {}),
    "a new period lets the pin go": (
        subscription(plan_version_id=VERSION), PAID, 28,
        {"period_start": after(28), "period_end": after(59), "plan_version_id": None},
    ),
    "31 January, 28 February, 31 March": (
        subscription(), PAID, 59, {"period_start": after(59), "period_end": after(89)},
    ),
    "a year late": (
        subscription(), PAID, 365, {"period_start": months_after(START, 12), "period_end": months_after(START, 13)},
    ),
    "downgrade": (
        subscription(next_plan_id=OTHER, plan_version_id=VERSION), PAID, 28,
        {"plan_id": OTHER, "next_plan_id": None, "plan_version_id": None, "period_start": after(28), "period_end": after(59)},
    ),
    "cancelled at the end, whatever follows": (
        subscription(cancel_at=after(28), next_plan_id=OTHER), PAID, 28, {"state": "cancelled", "ended_at": after(28)},
    ),
    "cancelled in a later period": (
        subscription(cancel_at=after(40)), PAID, 90,
        {"state": "cancelled", "ended_at": after(40), "period_start": after(28), "period_end": after(59)},
    ),
    "trial over, not paid": (trial(), PAID, 14, {"state": "expired", "ended_at": after(14)}),
    "trial over, back on the next plan": (
        trial(next_plan_id=OTHER, plan_version_id=VERSION), PAID, 14,
        {"state": "active", "plan_id": OTHER, "next_plan_id": None, "plan_version_id": None,
         "period_start": after(14), "period_end": after(42)},
    ),
    "trial of a free plan goes on": (
        trial(), FREE, 14, {"state": "active", "period_start": after(14), "period_end": after(42)},
    ),
    "paid months are counted from the trial's end": (
        trial(next_plan_id=OTHER), PAID, 75,
        {"state": "active", "plan_id": OTHER, "next_plan_id": None,
         "period_start": months_after(after(14), 2), "period_end": months_after(after(14), 3)},
    ),
    "grace over": (
        subscription(state="past_due", grace_until=after(10)), PAID, 12, {"state": "expired", "ended_at": after(10)},
    ),
    "past due is no new period": (subscription(state="past_due", grace_until=after(40)), PAID, 35, {}),
    "what has ended stays": (subscription(state="expired", ended_at=after(1), cancel_at=after(2)), PAID, 99, {}),
}  # fmt: skip


@pytest.mark.parametrize("row", DUE.values(), ids=DUE)
def test_what_is_due(row):
    before, terms, days, changes = row
    assert settled(before, terms, after(days)) == replace(before, **changes)


def test_at_one_instant_the_cancellation_goes_first_then_grace_then_trial_then_period():
    at = after(14)
    everything = trial(cancel_at=at, next_plan_id=OTHER)
    assert settled(everything, FREE, at).state == "cancelled"
    unpaid = subscription(state="past_due", grace_until=at, cancel_at=at, period_end=at)
    assert settled(unpaid, PAID, at).state == "cancelled"
    assert settled(replace(unpaid, cancel_at=None), PAID, at).state == "expired"


HOURS = st.integers(1, 200).map(lambda count: after(count / 2))
HELD = st.builds(
    lambda state, end, cancel_at, next_plan, grace, pinned: subscription(
        state=state,
        period_end=end,
        trial_ends_at=end if state == "trialing" else None,
        cancel_at=cancel_at,
        next_plan_id=next_plan,
        grace_until=grace if state == "past_due" else None,
        plan_version_id=pinned,
    ),
    st.sampled_from(["trialing", "active", "past_due"]),
    HOURS,
    st.none() | HOURS,
    st.none() | st.just(OTHER),
    HOURS,
    st.none() | st.just(VERSION),
)
TERMS = st.builds(Terms, free=st.booleans(), grace_days=st.integers(0, 5))


@given(held=HELD, terms=TERMS, moments=st.lists(HOURS, min_size=1, max_size=5).map(sorted))
def test_late_in_one_step_is_the_same_as_in_many(held, terms, moments):
    in_steps = held
    for moment in moments:
        in_steps = settled(in_steps, terms, moment)
    assert in_steps == settled(held, terms, moments[-1])
    assert settled(in_steps, terms, moments[-1]) == in_steps


@given(held=HELD, terms=TERMS, now=HOURS)
def test_a_settled_one_is_sound(held, terms, now):
    found = settled(held, terms, now)
    assert found.period_start < found.period_end
    assert found.live == (found.ended_at is None)
    if found.state == "active":
        assert found.period_start <= now < found.period_end
    if found.ended_at is not None:
        assert found.ended_at <= now


# -- L13


def asked(what, held, terms, now):
    """What the domain makes of a wish at `now`: settled first. A refused wish leaves what is due done."""
    found = settled(held, terms, now)
    try:
        return {
            "sweep": lambda: found,
            "upgrade": lambda: lifecycle.changed_at_once(found, OTHER, now),
            "downgrade": lambda: lifecycle.changed_at_period_end(found, OTHER),
            "cancel": lambda: lifecycle.cancelled_at_period_end(found, now),
            "cancel now": lambda: lifecycle.cancelled_now(found, now),
        }[what]()
    except Conflict:
        return found


@given(
    at=HOURS,
    next_plan=st.none() | st.just(OTHER),
    cancelled=st.booleans(),
    terms=TERMS,
    state=st.sampled_from(["trialing", "active", "past_due"]),
    wish=st.sampled_from(["upgrade", "downgrade", "cancel", "cancel now"]),
)
def test_l13_trial_end_plan_change_and_expiry_at_one_instant_commute(at, next_plan, cancelled, terms, state, wish):
    held = subscription(
        state=state,
        period_end=at,
        trial_ends_at=at if state == "trialing" else None,
        grace_until=at if state == "past_due" else None,
        next_plan_id=next_plan,
        cancel_at=at if cancelled else None,
    )
    results = set()
    for order in permutations(["sweep", "sweep", wish]):
        found = held
        for what in order:
            found = asked(what, found, terms, at)
        results.add(found)
    assert len(results) == 1
    (result,) = results
    if cancelled:
        assert (result.state, result.ended_at) == ("cancelled", at)
    elif state == "past_due" or (state == "trialing" and not terms.free and next_plan is None):
        assert (result.state, result.ended_at) == ("expired", at)
    else:
        # Went on, and then what was asked was done to the new period.
        assert result.period_start == at


# -- what may be asked


def test_an_upgrade_keeps_the_period_and_lets_pin_and_pending_plan_go():
    held = subscription(plan_version_id=VERSION, next_plan_id=OTHER)
    found = lifecycle.changed_at_once(held, OTHER, after(3))
    assert found == replace(held, plan_id=OTHER, plan_version_id=None, next_plan_id=None)
    assert lifecycle.changed_at_once(held, PLAN, after(3)) == replace(held, next_plan_id=None)


def test_a_plan_chosen_in_a_trial_begins_at_once_or_after_it():
    bought = lifecycle.changed_at_once(trial(plan_version_id=VERSION), PLAN, after(3))
    assert (bought.state, bought.period_start, bought.period_end) == ("active", after(3), months_after(after(3), 1))
    assert (bought.plan_id, bought.plan_version_id, bought.trial_ends_at) == (PLAN, None, after(3))
    later = lifecycle.changed_at_period_end(trial(), PLAN)
    assert (later.state, settled(later, PAID, after(14)).state) == ("trialing", "active")


def test_a_downgrade_is_taken_back():
    wished = lifecycle.changed_at_period_end(subscription(), OTHER)
    assert wished.next_plan_id == OTHER
    assert lifecycle.changed_at_period_end(wished, PLAN) == subscription()


def test_cancelling_again_changes_nothing_and_reactivating_takes_it_back():
    wished = lifecycle.cancelled_at_period_end(subscription(), after(2))
    assert wished.cancel_at == after(28)
    assert lifecycle.cancelled_at_period_end(wished, after(3)) == wished
    assert lifecycle.reactivated(wished, after(3)) == subscription()
    ended = lifecycle.cancelled_now(subscription(), after(2))
    assert (ended.state, ended.ended_at) == ("cancelled", after(2))
    assert lifecycle.cancelled_now(ended, after(3)) == ended
    with pytest.raises(Conflict):
        lifecycle.reactivated(ended, after(3))


def test_unpaid_then_paid_after_the_period_catches_up():
    owing = lifecycle.unpaid(subscription(), PAID, after(27))
    assert (owing.state, owing.grace_until) == ("past_due", after(30))
    assert lifecycle.unpaid(owing, PAID, after(28)) == owing
    assert lifecycle.cancelled_at_period_end(owing, after(29)).state == "cancelled"
    paid = lifecycle.reactivated(owing, after(29))
    assert (paid.state, paid.grace_until, paid.period_start) == ("active", None, after(28))
    with pytest.raises(Conflict):
        lifecycle.unpaid(trial(), PAID, after(1))


def test_a_trial_is_extended_with_its_cancellation():
    longer = lifecycle.extended(trial(cancel_at=after(14)), timedelta(days=7))
    assert (longer.trial_ends_at, longer.period_end, longer.cancel_at) == (after(21), after(21), after(21))
    for days in (0, -1, 366):
        with pytest.raises(InvalidValue):
            lifecycle.extended(trial(), timedelta(days=days))
    with pytest.raises(Conflict):
        lifecycle.extended(subscription(), timedelta(days=1))


def test_a_paid_period_that_is_extended_moves_its_cancellation_and_the_periods_behind_it():
    longer = lifecycle.prolonged(subscription(cancel_at=after(28)), PAID, timedelta(days=5))
    assert (longer.period_end, longer.cancel_at, longer.state) == (after(33), after(33), "active")
    following = settled(replace(longer, cancel_at=None), PAID, after(33))
    assert (following.period_start, following.period_end) == (after(33), months_after(after(33), 1))
    assert settled(following, PAID, following.period_end).period_end == months_after(after(33), 2)
    sooner = lifecycle.prolonged(subscription(cancel_at=after(20)), PAID, timedelta(days=5))
    assert sooner.cancel_at == after(20), "a cancellation within the period stays"


@pytest.mark.parametrize("day", [28, 29, 30, 31])
def test_periods_behind_an_extension_end_on_its_day_or_on_a_shorter_months_last_one(day):
    end, begun = START.replace(year=START.year + 1, day=day), START.replace(day=10)
    paid = subscription(
        started_at=begun, period_start=end.replace(year=START.year, month=12, day=10), period_end=end.replace(day=10)
    )
    found, ends = lifecycle.prolonged(paid, PAID, timedelta(days=day - 10)), []
    for _ in range(30):
        found = settled(found, PAID, found.period_end)
        ends.append(found.period_end)
        # A month of quotas is a period: none begins or ends within it.
        begin, end_ = (moment.timestamp() for moment in (found.period_start, found.period_end))
        assert month_bounds(found.anchor.timestamp(), end_ - 1)[1:3] == (begin, end_)
    assert ends == [months_after(end, number) for number in range(1, 31)]


def test_grace_and_trials_are_extended_and_what_has_ended_is_not():
    owing = subscription(state="past_due")
    assert lifecycle.prolonged(owing, PAID, timedelta(days=4)).grace_until == after(28 + 3 + 4)
    noted = replace(owing, grace_until=after(30))
    assert lifecycle.prolonged(noted, PAID, timedelta(days=4)).grace_until == after(34)
    assert lifecycle.prolonged(trial(14), PAID, timedelta(days=1)).trial_ends_at == after(15)
    with pytest.raises(Conflict):
        lifecycle.prolonged(subscription(state="cancelled"), PAID, timedelta(days=1))
    for days in (0, -1, 366):
        with pytest.raises(InvalidValue):
            lifecycle.prolonged(subscription(), PAID, timedelta(days=days))


@given(days=st.integers(1, 365), late=st.integers(0, 500))
def test_after_an_extension_late_in_one_step_is_the_same_as_in_many(days, late):
    longer = lifecycle.prolonged(subscription(), PAID, timedelta(days=days))
    end = longer.period_end + timedelta(days=late)
    stepped = longer
    for step in range(0, late + 1, 7):
        stepped = settled(stepped, PAID, longer.period_end + timedelta(days=step))
    assert settled(stepped, PAID, end) == settled(longer, PAID, end)
