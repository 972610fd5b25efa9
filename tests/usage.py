"""Usage in a test: rows of the request log, folded into rollups and summaries as the ingester folds them, or not yet."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.ingesting.batches import Batch, Place, at_us
from domain.ingesting.folding import fold
from domain.ingesting.rollup_writing import STAGE
from domain.ingesting.storing import store
from domain.ingesting.tallies import Tallies
from domain.partitions import ensure_partitions
from tests.journals import dimensions, record


def call(organization: UUID, at: datetime, key=None, service=None, operation=None, **changes) -> bytes:
    """One request of an organization, as a worker writes it down."""
    who = dimensions(organization, key, service, operation)
    return record(dimensions=who, at_us=int(at.timestamp() * 1_000_000), **changes)


async def stored(connection, records: Sequence[bytes], *, folded: bool = True) -> None:
    """Store records in the request log; and fold them, if wanted."""
    if not records:
        return
    days = {datetime.fromtimestamp(at_us(one) / 1e6, UTC).date() for one in records}
    for day in days:
        await ensure_partitions(connection, day, day)
    await connection.execute(STAGE)
    owner = uuid4()
    batch = Batch()
    batch.records += records
    batch.places += [Place(owner, 0, place) for place in range(len(records))]
    stored_at = await store(connection, batch, owner)
    if folded:
        tallies = Tallies()
        for one in records:
            tallies.count(one)
        await fold(connection, tallies, (), owner, [stored_at])
