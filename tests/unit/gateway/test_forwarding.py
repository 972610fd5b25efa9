from collections import Counter

from domain.catalog.reading import parse_upstream
from gateway.forwarding import pick


def test_origins_are_picked_by_weight_and_a_weight_of_zero_is_never_picked():
    origins = tuple(parse_upstream(f"http://127.0.0.1:{port}", weight) for port, weight in ((1, 3), (2, 1), (3, 0)))
    seen = Counter(pick(origins).port for _ in range(4000))
    assert 2700 < seen[1] < 3300
    assert seen[3] == 0


def test_all_weights_zero_means_all_alike():
    origins = tuple(parse_upstream(f"http://127.0.0.1:{port}", 0) for port in (1, 2))
    assert len({pick(origins).port for _ in range(100)}) == 2
