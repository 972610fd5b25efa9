"""Old keys at both gateways, before the import and after it: `legacy` asks with some of each kind."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from tests.gateways import RunningGateway, connected, make_service, running_gateway
from tests.legacy import Old, older_gateway
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream

EACH = 25
HEARD_SECONDS = 1.0
"""So long after the import a key that was unknown just before it may still be refused."""
GOOD, ENDED, SKIPPED = "usable", "expired or revoked", "skipped"
EXPECTED = {GOOD: (401, 200), ENDED: (401, 401), SKIPPED: (401, 401)}
"""Status at our gateway before and after. What the older one says must not change."""
_KEYS = """
select k.key_id, 'sk_old_' || n as text,
       k.status = 'active' and k.expires_at is null as alive, c.status = 'active' as served
  from generate_series(1, $1::int) n join api_keys k on k.key_id = md5('k' || n)::uuid::text
  left join clients c on c.client_id = k.client_id
 where k.key_hash = encode(sha256(('sk_old_' || n)::bytea), 'hex')
"""


class OldKeys:
    """Asks with texts that only their owners know. `texts` by what is to become of them."""

    def __init__(self, old: Old, gateway: RunningGateway, older_port: int) -> None:
        self._old, self._gateway, self._older_port = old, gateway, older_port
        self.texts: dict[str, list[str]] = {}

    async def choose(self, keys: int, imported: Iterable[str]) -> None:
        """Some of each kind, by what the dry run says of them."""
        coming = set(imported)
        found: dict[str, list[str]] = {kind: [] for kind in EXPECTED}
        for row in await self._old.connection.fetch(_KEYS, keys):
            kind = SKIPPED if row["key_id"] not in coming else GOOD if row["alive"] else ENDED
            if kind is not GOOD or row["served"]:
                found[kind].append(row["text"])
        self.texts = {kind: texts[:: max(1, len(texts) // EACH)][:EACH] for kind, texts in found.items()}

    async def ask(self) -> dict[str, tuple[Counter[int], Counter[int]]]:
        """Statuses of each kind at our gateway and at the older one."""
        return {
            kind: (
                Counter([await self._ours(text) for text in texts]),
                Counter([await self._older(text) for text in texts]),
            )
            for kind, texts in self.texts.items()
        }

    async def _ours(self, text: str) -> int:
        return (await self._gateway.ask(self._gateway.request("/old/x", text))).status

    async def _older(self, text: str) -> int:
        async with await RawClient.connect(("127.0.0.1", self._older_port)) as client:
            await client.send(f"GET /old/x HTTP/1.1\r\nHost: old\r\nX-API-Key: {text}\r\n\r\n".encode())
            return (await client.answers(1, 10, ["GET"])).final[0].status


@asynccontextmanager
async def both_gateways(old: Old, url: str, redis_url: str) -> AsyncIterator[OldKeys]:
    """Ours on the database of `url`, with a service, and the older installation's own."""
    upstream = RecordingUpstream().start()
    try:
        async with connected(url) as connection:
            await make_service(connection, "old", "/old", upstream.port)
        async with older_gateway(old) as port, running_gateway(url, redis_url) as gateway:
            yield OldKeys(old, gateway, port)
    finally:
        upstream.stop()


async def compared(
    keys: OldKeys, before: dict[str, tuple[Counter[int], Counter[int]]]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Lines of what became of each kind since `before`, and which promises did not hold."""
    await asyncio.sleep(HEARD_SECONDS)
    lines, broken = [], []
    for kind, (ours, older) in (await keys.ask()).items():
        was, older_was = before[kind]
        lines.append(
            (
                f"{len(keys.texts[kind])} old keys, {kind}",
                f"{_told(was)} -> {_told(ours)}; older gateway {_told(older)}",
            )
        )
        wanted = tuple(Counter({status: len(keys.texts[kind])}) for status in EXPECTED[kind])
        if (was, ours) != wanted or older != older_was or not keys.texts[kind]:
            broken.append(f"{kind} keys: {was} before, {ours} after; at the older gateway {older_was}, then {older}")
    return lines, broken


def _told(statuses: Counter[int]) -> str:
    return ", ".join(
        f"{status}" if len(statuses) == 1 else f"{count} x {status}" for status, count in sorted(statuses.items())
    )
