"""ClickHouse over its HTTP interface: statements with bound parameters, and inserts that count once.

What somebody typed is only ever a bound parameter; the texts of statements are literals of this package.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2

from domain.faults import Unavailable
from domain.log_store.address import Address

log = logging.getLogger(__name__)
# It would write down each statement's values, which are what customers look for.
logging.getLogger("httpx2").setLevel(logging.WARNING)

Parameters = Mapping[str, Any]

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
"""How long a statement that reads may take, there and on the way."""
SLOW_SECONDS = 60.0
"""The same for what nobody waits for: inserts, exports, changes of tables."""

_TIMED_OUT = {159, 160, 209, 394}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 7_258_118_400_000_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "'": "\\'"})
_ALWAYS = {"output_format_json_quote_64bit_integers": "0", "wait_end_of_query": "1"}
# One insert is one block for each day, sent again it is the same block: that is what makes it count once.
_INSERTING = {
    "insert_deduplicate": "1", "async_insert": "0", "input_format_parallel_parsing": "0",
    "max_insert_block_size": "1048576", "min_insert_block_size_rows": "1048576",
    "min_insert_block_size_bytes": "1073741824", "date_time_input_format": "basic",
}  # fmt: skip


class LogStoreAway(Unavailable):
    """The log store does not answer, or not in time."""

    code = "log_store_away"


class LogStoreRefused(Unavailable):
    """The log store answered that it will not do this. `number` is ClickHouse's error code, 0 if it said none.

    `said` is for operators: it may name what customers need not know.
    """

    code = "log_store_refused"

    def __init__(self, said: str, number: int = 0) -> None:
        super().__init__(f"The log store refused what was asked (error {number}).")
        self.said, self.number = said, number


class ClickHouse:
    """One process's way to the server. Connects when it is used; the caller closes it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client = httpx2.AsyncClient(
            base_url=address.base,
            # Not ClickHouse's own headers: a password may hold what no header can.
            auth=(address.user, address.password),
            timeout=httpx2.Timeout(READ_SECONDS + 1, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def rows(
        self, statement: str, parameters: Parameters | None = None, *, seconds: float = READ_SECONDS
    ) -> list[list[Any]]:
        """The rows of a SELECT, each a list of values as JSON has them.

        Raises TimeoutError where it takes longer than `seconds`, LogStoreAway, LogStoreRefused.
        """
        settings = {
            "max_execution_time": f"{max(1, round(seconds))}",
            "readonly": "2",
            "default_format": "JSONCompactEachRow",
        }
        try:
            answer = await self._post(statement.encode(), {**settings, **bound(parameters)}, seconds)
        except LogStoreRefused as fault:
            if fault.number in _TIMED_OUT:
                raise TimeoutError from fault
            raise
        return [json.loads(line) for line in answer.splitlines()]

    async def execute(self, statement: str, parameters: Parameters | None = None, *, database: bool = True) -> None:
        """Run a statement that changes something. Raises LogStoreAway, LogStoreRefused."""
        await self._post(statement.encode(), bound(parameters), SLOW_SECONDS, database=database)

    async def insert(self, statement: str, data: bytes, token: str) -> None:
        """Insert `data`, once for each token, however often it is tried. Raises LogStoreAway, LogStoreRefused."""
        settings = {**_INSERTING, "query": statement, "insert_deduplication_token": token}
        await self._post(data, settings, SLOW_SECONDS)

    async def _post(self, body: bytes, settings: Mapping[str, str], seconds: float, *, database: bool = True) -> bytes:
        query = {**_ALWAYS, **settings}
        if database:
            query["database"] = self.address.database
        try:
            answer = await self._client.post(
                "/", params=query, content=body, timeout=httpx2.Timeout(seconds + 1, connect=CONNECT_SECONDS)
            )
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
            raise LogStoreAway(f"The log store cannot be reached: {type(fault).__name__}.") from fault
        if answer.status_code != 200 or "x-clickhouse-exception-code" in answer.headers:
            refusal = _refused(answer)
            log.warning("the log store refused: %s", getattr(refusal, "said", refusal))
            raise refusal
        return answer.content


def bound(parameters: Parameters | None) -> dict[str, str]:
    """Values as ClickHouse reads parameters: `{name:Type}` in the statement."""
    return {f"param_{name}": _text(value) for name, value in (parameters or {}).items()}


def micros(moment: datetime) -> int:
    """Microseconds since 1970, within what a column of times can hold."""
    return min(max((moment - _EPOCH) // timedelta(microseconds=1), 0), _LATEST_US)


def moment_of(microseconds: int) -> datetime:
    """The moment of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        # Only ids and numbers are asked for by the list, and their text needs no escape.
        return "[" + ",".join(f"'{one}'" if isinstance(one, UUID) else str(int(one)) for one in value) + "]"
    return str(value).translate(_ESCAPES)


def _refused(answer: httpx2.Response) -> Unavailable:
    said = answer.text.strip().partition("\n")[0][:300]
    number = answer.headers.get("x-clickhouse-exception-code", "")
    if answer.status_code in {502, 503, 504} and not number:
        return LogStoreAway("The log store cannot be reached: what stands before it says so.")
    return LogStoreRefused(said, int(number) if number.isdigit() else 0)
