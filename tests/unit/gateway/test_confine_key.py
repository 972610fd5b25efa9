from types import SimpleNamespace

import pytest

from domain.refusals import KeyInQuery, MalformedRequest
from gateway.policies.confine_key import confine_key
from tests.unit.gateway.sample_requests import a_request

KEY = b"legacy-Kq83nd0s9Xm2"


def confined(*headers, key=KEY, **parts):
    confine_key(SimpleNamespace(request=a_request(*headers, **parts), key_bytes=key))


def test_the_key_may_stand_in_its_own_fields():
    confined((b"x-api-key", KEY), (b"authorization", b"Bearer " + KEY), (b"accept", b"*/*"), query=b"a=1")


@pytest.mark.parametrize(
    "header", [(b"cookie", b"key=" + KEY), (b"referer", b"http://x/?k=" + KEY), (b"authorization", b"Basic " + KEY)]
)
def test_and_in_no_other(header):
    with pytest.raises(MalformedRequest):
        confined(header)


@pytest.mark.parametrize("spelled", [KEY, b"%6c" + KEY[1:]])
def test_nor_in_path_or_query_however_it_is_spelled(spelled):
    with pytest.raises(MalformedRequest):
        confined(path=b"/proxy/" + spelled)
    with pytest.raises(KeyInQuery):
        confined(query=b"x=" + spelled)


def test_a_short_imported_key_stands_in_ordinary_text_by_chance():
    confined((b"cookie", b"abc"), key=b"abc", path=b"/abc")
