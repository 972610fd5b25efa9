"""Terms survive being written down; and what the data plane sees of them."""

import json
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.plan_terms import PlanTerms, snapshot_of, terms_from_json, terms_to_json
from domain.snapshots import LimitSnapshot

IDS = st.uuids()
AMOUNTS = st.integers(0, 2**63 - 1)
LIMITS = st.builds(
    LimitSnapshot,
    id=IDS,
    name=st.text(min_size=1, max_size=40),
    amount=st.integers(1, 10**15),
    period=st.sampled_from(["second", "minute", "hour", "day", "month", "concurrent"]),
    scope=st.sampled_from(["organization", "key"]),
    shadow=st.booleans(),
    service_id=st.none() | IDS,
    operation_id=st.none() | IDS,
    unit=st.sampled_from(["requests", "quota"]),
)
TERMS = st.builds(
    PlanTerms,
    limits=st.lists(LIMITS, max_size=4).map(tuple),
    overage=st.sampled_from(["block", "credits"]),
    prices=st.dictionaries(IDS, AMOUNTS, max_size=4),
    quota_costs=st.dictionaries(IDS, AMOUNTS, max_size=4),
    price_cents=AMOUNTS,
    currency=st.just("USD"),
    trial_days=st.integers(0, 365),
    trial_calls=st.none() | AMOUNTS,
    grace_days=st.integers(0, 365),
)


@given(TERMS)
def test_what_is_written_is_read(terms):
    text = terms_to_json(terms)
    assert terms_from_json(text) == terms
    # As PostgreSQL gives it back: jsonb keeps no order.
    assert terms_from_json(json.dumps(dict(reversed(json.loads(text).items())))) == terms


@given(TERMS)
def test_the_same_terms_are_the_same_text(terms):
    again = terms_from_json(terms_to_json(terms))
    assert terms_to_json(again) == terms_to_json(terms)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"limits": [{}]}', '{"limits": []}'])
def test_what_is_no_terms_is_refused(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        terms_from_json(text)


@given(TERMS)
def test_the_data_plane_has_the_same(terms):
    plan_id = uuid4()
    plan = snapshot_of(plan_id, "pro", "Pro", 20, terms)
    assert (plan.id, plan.slug, plan.name, plan.rank) == (plan_id, "pro", "Pro", 20)
    assert (plan.limits, plan.overage, plan.prices) == (terms.limits, terms.overage, terms.prices)
    assert (plan.quota_costs, plan.trial_calls) == (terms.quota_costs, terms.trial_calls)
