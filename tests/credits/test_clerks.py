"""Eight processes move the same money at once, one after the other is killed, and everything adds up at every moment.

PE_FULL=1 for the long form, PE_SECONDS for another length, PE_SEED for another seed.
"""

import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from domain.credits.reconciling import reconcile
from tests.credits.clerk import event_amount
from tests.credits.office import Office, delays, office
from tests.integration.domain.credits.accounts import bonus, new_organizations, posted

FULL = os.environ.get("PE_FULL") == "1"
SEED = os.environ.get("PE_SEED", "20261126")
SECONDS = float(os.environ.get("PE_SECONDS", "300" if FULL else "5"))
CLERKS, ORGANIZATIONS, STEPS = 8, 3, 12


@pytest.mark.timeout(SECONDS * 3 + 180)
@pytest.mark.slow
async def test_l1_to_l8_and_l15_hold_while_eight_processes_move_money_and_are_killed(
    fresh_database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection, watcher = await asyncpg.connect(fresh_database_url), await asyncpg.connect(fresh_database_url)
    owners = await new_organizations(connection, ORGANIZATIONS)
    await posted(connection, *(bonus(owner, 1_000) for owner in owners))
    choice, moments, looks = random.Random(SEED), delays(SEED), 0
    with office(fresh_database_url, owners, str(tmp_path), SEED) as clerks:
        await clerks.open(connection, CLERKS)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            victim = choice.choice(clerks.desks) if choice.random() < 0.8 else None
            await clerks.round(connection, STEPS, victim, next(moments))
            found = await reconcile(watcher)
            assert found.drifts == []
            looks += 1
        await clerks.round(connection, STEPS, None, 0.0)
    found = await reconcile(watcher)
    assert found.drifts == []
    assert found.usage_entries_checked == found.usage_entries > 0
    await everything_that_was_said_is_so(connection, tmp_path)
    await connection.close()
    await watcher.close()
    with capsys.disabled():
        print("\n".join(lines(clerks, looks, found.entries)))
    assert clerks.kills > 0


async def everything_that_was_said_is_so(connection: asyncpg.Connection, folder: Path) -> None:
    """L5, L15: what a clerk was told is in the ledger once, what was refused is not, and nothing else is."""
    said: dict[tuple[str, str], tuple[str, int]] = {}
    refused: set[tuple[str, str]] = set()
    for file in folder.glob("*.jsonl"):
        asked = None
        for line in map(json.loads, file.read_text().splitlines()):
            if "ask" in line:
                assert asked is None, "a clerk went on without an outcome"
                asked = line["ask"]
                continue
            where = asked["owner"], asked["key"]
            if line["outcome"] == "done":
                assert said.setdefault(where, (line["entry"], line["amount"])) == (line["entry"], line["amount"])
            else:
                assert line["outcome"] in {"credits_not_available", "not_refundable"}
                refused.add(where)
            asked = None
        assert asked is None
    rows = await connection.fetch("select * from credit_entry where idempotency_key is not null")
    stored = {
        (str(row["organization_id"]), row["idempotency_key"]): (
            str(row["id"]),
            row["amount_micro"] if row["credit"] == "credits" else -row["amount_micro"],
        )
        for row in rows
    }
    assert stored == said
    assert not refused & said.keys()
    events = [row for row in rows if row["idempotency_key"].startswith("event-")]
    assert all(row["amount_micro"] == event_amount(int(row["idempotency_key"][6:])) for row in events)
    await _usage_is_what_was_charged(connection)


async def _usage_is_what_was_charged(connection: asyncpg.Connection) -> None:
    charged = await connection.fetchrow("select sum(charged) as cost, sum(requests) as requests from clerk_position")
    entries = await connection.fetchrow(
        "select sum(amount_micro) as cost, sum(requests) as requests from credit_entry where type = 'usage'"
    )
    assert tuple(charged) == tuple(entries)
    by_parts = await connection.fetchrow(
        "select (select sum(spent_micro) from credit_lease) + (select sum(settled_micro) from credit_reservation)"
    )
    assert by_parts[0] == charged["cost"]


def lines(clerks: Office, looks: int, entries: int) -> list[str]:
    counts = Counter({name: number for name, number in clerks.counts.items() if number})
    head = (
        f"\n{CLERKS} clerks, seed {SEED}: {clerks.rounds} rounds, {clerks.kills} kills, {sum(counts.values())} operations"
        f" in {clerks.seconds:.1f} s, {entries} entries, {looks} reconciliations on the way"
    )
    return [head, "  " + ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))]
