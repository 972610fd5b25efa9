import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.journal.decision import MOST_LIMITS, Decision, DecisionForm, Flag, KeyFault, Step, unpack_decision
from domain.journal.records import MOST_END
from tests.snapshots import limit, plan


def test_a_trace_comes_back_with_its_numbers():
    pro = plan(limit("hour", 1_000), limit("day", 10**12, shadow=True))
    form = DecisionForm(pro.id, pro.limits)
    trace = form.pack(
        Step.LIMIT, KeyFault.NONE, Flag.WAITED, 2**63 + 5, (0, 3_411, 10**11, 80_000), ("hour",), ("day",)
    )
    found = unpack_decision(trace)
    assert found.step is Step.LIMIT
    assert found.key_fault is KeyFault.NONE
    assert found.flags == Flag.WAITED
    assert found.lease_id == 2**63 + 5
    assert found.plan_id == pro.id
    hour, day = found.limits
    assert hour == (pro.limits[0].id, 1_000, 0, 3_411, True, False)
    assert day == (pro.limits[1].id, 10**12, 10**11, 80_000, False, True)


def test_a_request_that_never_came_to_a_plan():
    trace = DecisionForm().pack(Step.KEY, KeyFault.REVOKED, 0, 0, ())
    assert unpack_decision(trace) == Decision(Step.KEY, KeyFault.REVOKED, Flag(0), 0, None, ())


def test_too_many_limits_are_left_out_and_fit_a_record():
    limits = tuple(limit("hour", 1, name=f"l{number}") for number in range(40))
    form = DecisionForm(plan().id, limits)
    trace = form.pack(Step.ANSWER, 0, 0, 0, tuple(range(80)), [f"l{number}" for number in range(40)])
    assert len(trace) < MOST_END // 6
    assert [found.remaining for found in unpack_decision(trace).limits] == list(range(0, 2 * MOST_LIMITS, 2))
    assert all(found.violated for found in unpack_decision(trace).limits)


@given(st.binary(max_size=200))
def test_anything_else_is_not_read(trace):
    if trace[:1] != b"\x01":
        assert unpack_decision(trace) is None


@pytest.mark.parametrize("cut", [1, 16, 40])
def test_a_trace_that_is_cut_is_not_read(cut):
    pro = plan(limit("hour", 1_000))
    assert unpack_decision(DecisionForm(pro.id, pro.limits).pack(8, 0, 0, 0, (1, 2))[:-cut]) is None
