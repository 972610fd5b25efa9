import pytest

from domain.quotas.windows import judge
from gateway.ratelimit_headers import quoted, render
from tests.snapshots import limit, plan

SOLD = plan(limit("hour", 1_000), limit("day", 10_000), limit("minute", 5, shadow=True))


def verdict(used, *, taken=True):
    return judge(SOLD.limits, used, [3_410_001, 80_000_000, 60_000], 1, taken=taken, source="redis")


def test_policy_and_state_of_every_enforced_window():
    headers = dict(render(SOLD, verdict([2, 9_999, 7]), legacy=False))
    assert headers == {
        b"ratelimit-policy": b'"hour";q=1000;w=3600, "day";q=10000;w=86400',
        b"ratelimit": b'"hour";r=998;t=3411, "day";r=1;t=80000',
    }


def test_older_fields_show_the_tightest_window():
    headers = dict(render(SOLD, verdict([2, 9_999, 7]), legacy=True))
    assert headers[b"x-ratelimit-limit"] == b"10000"
    assert headers[b"x-ratelimit-remaining"] == b"1"
    assert headers[b"x-ratelimit-reset"] == b"80000"


def test_of_two_empty_windows_the_one_that_turns_last_is_the_tightest():
    headers = dict(render(SOLD, verdict([1_000, 10_000, 1], taken=False), legacy=True))
    assert headers[b"x-ratelimit-limit"] == b"10000"
    assert headers[b"x-ratelimit-reset"] == b"80000"


def test_retry_after_is_left_to_the_problem_document():
    assert b"retry-after" not in dict(render(SOLD, verdict([1_000, 1, 1]), legacy=False))
    assert b"retry-after" not in dict(render(SOLD, verdict([1_000, 1, 1], taken=False), legacy=False))


def test_a_plan_without_enforced_limits_has_no_fields():
    sold = plan(limit("hour", 5, shadow=True))
    assert render(sold, judge(sold.limits, [9], [5], 1, taken=True, source="redis"), legacy=True) == []


def test_a_replaced_snapshot_of_a_plan_is_noticed():
    before = plan(limit("hour", 5))
    after = type(before)(before.id, before.slug, before.name, before.rank, (limit("hour", 7),))
    for sold, policy in ((before, b'"hour";q=5;w=3600'), (after, b'"hour";q=7;w=3600')):
        shown = render(sold, judge(sold.limits, [1], [5], 1, taken=True, source="redis"), legacy=False)
        assert dict(shown)[b"ratelimit-policy"] == policy


@pytest.mark.parametrize(
    ("name", "string"), [("hour", '"hour"'), ('a"b\\c', '"a\\"b\\\\c"'), ("d\r\n\xe9", '"d___"'), ("", '""')]
)
def test_names_are_strings_of_rfc_9651(name, string):
    assert quoted(name) == string
