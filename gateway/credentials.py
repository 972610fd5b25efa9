"""Where a request may carry its API key, and where it may not.

One documented rule: the key stands once in `X-API-Key`, or, without that field, as `Authorization: Bearer`. An
`Authorization` that is not our key, beside `X-API-Key`, belongs to the upstream. A key in the query is refused.
"""

from urllib.parse import unquote_to_bytes

from domain.refusals import AmbiguousCredentials, InvalidKey, KeyInQuery
from gateway.ends import ClientRequest

MAX_KEY_BYTES = 512
KEY_MARKS = (b"pe_live_", b"pe_test_")
QUERY_NAMES = (b"api_key=", b"apikey=", b"api-key=", b"x-api-key=", b"apikey[]=")


def presented_key(request: ClientRequest) -> bytes:
    """The key that the request presents. Raises a `Refusal`: none, two different ones, or one in the query."""
    in_header: bytes | None = None
    bearer: bytes | None = None
    for name, value in request.headers:
        if name == b"x-api-key":
            if in_header is not None and in_header != value:
                raise AmbiguousCredentials
            in_header = value
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            token = value[7:].strip(b" ")
            if bearer is not None and bearer != token:
                raise AmbiguousCredentials
            bearer = token
    if request.has_query and _names_a_key(request.query, missing=in_header is None and bearer is None):
        raise KeyInQuery
    if in_header is None:
        key = bearer
    else:
        key = in_header
        if bearer is not None and bearer != in_header and bearer.startswith(KEY_MARKS):
            raise AmbiguousCredentials
    if not key or len(key) > MAX_KEY_BYTES:
        raise InvalidKey
    return key


def _names_a_key(query: bytes, *, missing: bool) -> bool:
    """Whether the query holds one of our keys, or, with none elsewhere, a parameter that is meant to be one."""
    if b"%" in query:
        query = unquote_to_bytes(query)
    if KEY_MARKS[0] in query or KEY_MARKS[1] in query:
        return True
    return missing and any(name in query.lower() for name in QUERY_NAMES)
