from dataclasses import replace
from time import monotonic

import pytest

from domain.quotas.costs import Cost
from domain.quotas.limiter import Limiter
from domain.settings import RedisSettings
from domain.snapshots import PlanSnapshot
from domain.spend_caps import cap_limits
from gateway.ratelimit_headers import quoted, render
from gateway.ratelimit_lines import lines
from tests.snapshots import key, limit, plan

LIMITS = (
    limit("hour", 1_000),
    limit("day", 10_000),
    limit("minute", 5, shadow=True),
    limit("concurrent", 3, name="at a time"),
)


def bucket(used, sold=None):
    sold = sold or plan(*LIMITS)
    made = Limiter(RedisSettings(), workers=1).bucket(key(), sold)
    for allowance, count, seconds in zip(made.allowances, used, (3_410.5, 79_999.5, 60, 1), strict=False):
        allowance.used, allowance.reset_at = count, monotonic() + seconds
    return made


def test_policy_and_state_of_every_enforced_window():
    headers = dict(render(bucket([2, 9_999, 7, 1]), legacy=False))
    assert headers == {
        b"ratelimit-policy": b'"hour";q=1000;w=3600, "day";q=10000;w=86400',
        b"ratelimit": b'"hour";r=998;t=3411, "day";r=1;t=80000',
    }


def test_older_fields_show_the_tightest_window():
    headers = dict(render(bucket([2, 9_999, 7, 3]), legacy=True))
    assert headers[b"x-ratelimit-limit"] == b"10000"
    assert headers[b"x-ratelimit-remaining"] == b"1"
    assert headers[b"x-ratelimit-reset"] == b"80000"


def test_of_two_empty_windows_the_one_that_turns_last_is_the_tightest():
    headers = dict(render(bucket([1_000, 10_000, 1, 1]), legacy=True))
    assert headers[b"x-ratelimit-limit"] == b"10000"
    assert headers[b"x-ratelimit-reset"] == b"80000"


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    ("sold", "used"),
    [
        (None, [2, 9_999, 7, 1]),
        (plan(limit("hour", 10, name='50% "off"')), [3]),
        (plan(limit("hour", 10, name="a"), limit("day", 10, name="b"), limit("minute", 10, name="c")), [3, 3, 4]),
        (plan(limit("hour", 10, name="a"), limit("day", 10, name="b")), [13, 10]),
        (plan(), []),
    ],
)
def test_lines_are_the_same_fields(sold, used, legacy):
    made = bucket(used, sold)
    for _ in range(2):
        fields = b"".join(b"%b: %b\r\n" % field for field in render(made, legacy=legacy))
        text, figures = lines(made, legacy=legacy)
        assert text == fields
        assert tuple(figures) in {(), made.numbers()}
        for allowance in made.allowances:
            allowance.used -= 1


def both(each, *, legacy):
    fields = b"".join(b"%b: %b\r\n" % field for field in render(each, legacy=legacy))
    return fields, lines(each, legacy=legacy)[0]


@pytest.mark.parametrize("legacy", [True, False])
def test_buckets_of_one_plan_show_their_own_figures(legacy):
    """They share what is made of the plan's limits, and of seconds that are alike."""
    sold, made = plan(*LIMITS), []
    for number in range(600):
        made.append(bucket([number % 7, 9 * number, 1, 1], sold))
        made[-1].allowances[number % 2].reset_at += number // 2
    for each in made:
        shown = [both(each, legacy=legacy) for _ in range(2)]
        # A second may turn between the two forms, but not twice.
        assert any(fields == written for fields, written in shown), shown
    assert len({id(each.memo.template) for each in made}) == 1
    assert len(made[0].memo.template.forms) <= 512


def test_retry_after_is_left_to_the_problem_document():
    assert b"retry-after" not in dict(render(bucket([1_000, 1, 1, 1]), legacy=False))


def test_what_is_leased_is_still_to_be_had():
    made = bucket([12, 16, 0, 0])
    made.allowances[0].left = 10
    assert dict(render(made, legacy=False))[b"ratelimit"].startswith(b'"hour";r=998;')


def test_states_of_a_verdict_stand_in_for_those_of_the_bucket():
    made = bucket([1_000, 10_000, 1, 1])
    shown = [state._replace(remaining=7, reset_seconds=9) for state in made.states()]
    assert dict(render(made, legacy=False, windows=shown))[b"ratelimit"] == b'"hour";r=7;t=9, "day";r=7;t=9'


@pytest.mark.parametrize("unseen", [limit("hour", 5, shadow=True), limit("concurrent", 5)])
def test_a_plan_without_enforced_windows_has_no_fields(unseen):
    assert render(bucket([9], plan(unseen)), legacy=True) == []


def test_a_replaced_snapshot_of_a_plan_is_noticed():
    limiter, caller, before = Limiter(RedisSettings(), workers=1), key(), plan(limit("hour", 5))
    after = PlanSnapshot(before.id, before.slug, before.name, before.rank, (limit("hour", 7),))
    for sold, policy in ((before, b'"hour";q=5;w=3600'), (after, b'"hour";q=7;w=3600')):
        shown = render(limiter.bucket(caller, sold), legacy=False)
        assert dict(shown)[b"ratelimit-policy"] == policy


def test_a_percent_sign_in_a_name_is_no_placeholder():
    shown = dict(render(bucket([1], plan(limit("hour", 5, name="50%d"))), legacy=False))
    assert shown[b"ratelimit"].startswith(b'"50%d";r=4;t=')


@pytest.mark.parametrize(
    ("name", "string"), [("hour", '"hour"'), ('a"b\\c', '"a\\"b\\\\c"'), ("d\r\n\xe9", '"d___"'), ("", '""')]
)
def test_names_are_strings_of_rfc_9651(name, string):
    assert quoted(name) == string


def test_quotas_say_their_unit_and_spend_caps_are_not_shown():
    quota = replace(limit("month", 100, name="month-quota"), unit="quota")
    caller = replace(key(), billing_mode="quota", spend_caps=cap_limits(5, None, None, None))
    limiter = Limiter(RedisSettings(), workers=1)
    made = limiter.bucket(caller, plan(limit("hour", 9), quota), cost=Cost(4, 5))
    assert len(made.limits) == 3
    headers = dict(render(made, legacy=True))
    assert headers[b"ratelimit-policy"] == b'"hour";q=9;w=3600, "month-quota";q=100;qu="quota-units";w=2678400'
    assert b"spend" not in headers[b"ratelimit"]
    assert headers[b"x-ratelimit-limit"] == b"9"
    text, _ = lines(made, legacy=True)
    assert b"spend" not in text
    assert b'"month-quota";r=100' in text
