"""The key cache against a plain model: bounds, invalidation, and no write-back of what an invalidation overtook."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.key_cache import KeyCache
from domain.snapshots import KeySnapshot

KEYS = [uuid.UUID(int=number) for number in range(1, 7)]
ORGANIZATIONS = [uuid.UUID(int=number) for number in range(101, 104)]


def snapshot(number):
    return KeySnapshot(
        id=KEYS[number],
        organization_id=ORGANIZATIONS[number % 3],
        organization_slug="o",
        organization_state="active",
        plan_id=None,
        plan_slug="",
        name="k",
        prefix="p",
        environment="live",
        scopes=frozenset(),
        allowed_ips=(),
        expires_at=None,
        revoked=False,
    )


def stored(cache, number, ticket=None):
    mine = ticket or cache.begin(0.0)
    kept = cache.store(b"%d" % number, snapshot(number), mine)
    cache.end()
    return kept


def test_a_result_that_an_invalidation_overtook_is_not_kept():
    cache = KeyCache(10, 10)
    for invalidate in (
        lambda: cache.forget_key(KEYS[0]),
        lambda: cache.forget_organization(ORGANIZATIONS[0]),
        cache.clear,
    ):
        ticket = cache.begin(0.0)
        invalidate()
        assert not stored(cache, 0, ticket)
        assert len(cache) == 0
        assert stored(cache, 0)
        cache.clear()


def test_a_change_of_another_key_does_not_matter_but_an_unknown_key_may_have_been_made():
    cache = KeyCache(10, 10)
    known, unknown = cache.begin(0.0), cache.begin(0.0)
    cache.forget_key(KEYS[5])
    assert stored(cache, 0, known)
    assert not cache.store(b"x", None, unknown)
    cache.end()
    assert not cache.is_unknown(b"x", 0.0, 1.0)


def test_unknown_keys_expire():
    cache = KeyCache(10, 10)
    cache.store(b"x", None, cache.begin(5.0))
    cache.end()
    assert cache.is_unknown(b"x", 5.9, 1.0)
    assert not cache.is_unknown(b"x", 6.0, 1.0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.integers(0, 5)),
        st.tuples(st.just("key"), st.integers(0, 5)),
        st.tuples(st.just("organization"), st.integers(0, 2)),
        st.tuples(st.just("unknown"), st.integers(0, 5)),
        st.tuples(st.just("clear"), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_nothing_invalidated_stays_and_the_indexes_follow(steps):
    cache, model = KeyCache(4, 3), []
    for step, number in steps:
        if step == "store":
            assert stored(cache, number)
            model = [*[each for each in model if each != number][-3:], number]
        elif step == "key":
            cache.forget_key(KEYS[number])
            model = [each for each in model if each != number]
        elif step == "organization":
            cache.forget_organization(ORGANIZATIONS[number])
            model = [each for each in model if each % 3 != number]
        elif step == "unknown":
            cache.store(b"%d" % number, None, cache.begin(0.0))
            cache.end()
            model = [each for each in model if each != number]
        else:
            cache.clear()
            model = []
        assert list(cache.known) == [b"%d" % each for each in model]
        assert set(cache._by_id) == {KEYS[each] for each in model}
        assert set(cache._by_organization) == {ORGANIZATIONS[each % 3] for each in model}
        assert cache.unknown_count <= 3
        assert not cache._changed
