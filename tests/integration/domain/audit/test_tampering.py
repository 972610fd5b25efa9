"""Whoever gets around the triggers and changes history is found, and the first wrong row is named."""

from datetime import timedelta

import asyncpg
import pytest

from domain.audit_chain.encoding import COLUMNS, GENESIS
from domain.audit_chain.sealing import seal
from domain.audit_chain.standing import read_standing
from domain.audit_chain.verifying import verify
from domain.faults import InvalidValue
from tests.integration.domain.audit.entries import TODAY, links, write

CHANGED = {
    "id": "gen_random_uuid()",
    "created_at": "created_at + interval '1 microsecond'",
    "organization_id": "gen_random_uuid()",
    "actor_kind": "'operator'",
    "actor_id": "null",
    "before": """'{"n": 1.0}'""",
    "after": """'{"n": 15.0}'""",
}


async def first_breach(connection, **options):
    found = await verify(connection, **options)
    assert found.breach is not None
    assert found.last_position == found.verified
    return found.breach


async def entry_at(connection, position):
    return await connection.fetchval("select entry_id from audit_link where position = $1", position)


async def test_history_as_it_was_is_sound(tampered):
    found = await verify(tampered)
    assert (found.sound, found.verified, found.first_position, found.last_position) == (True, 60, 1, 60)
    assert found.head == (await links(tampered))[-1][2].hex()
    assert (found.unsealed, found.day) == (0, str((TODAY - timedelta(days=1)).date()))
    assert (await read_standing(tampered)).sound


@pytest.mark.parametrize("column", COLUMNS)
async def test_one_changed_column_of_one_row(tampered, column):
    entry = await entry_at(tampered, 15)
    forged = CHANGED.get(column, "'forged'")
    await tampered.execute(f"update audit_entry set {column} = {forged} where id = $1", entry)
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position, breach.entry_id) == ("missing" if column == "id" else "changed", 15, entry)
    assert str(entry) in breach.sentence


@pytest.mark.parametrize(
    "change", ["day = day - 1", "created_at = now()", "hash = sha256('x')", "entry_id = gen_random_uuid()"]
)
async def test_a_changed_link(tampered, change):
    await tampered.execute(f"update audit_link set {change} where position = 33")
    assert (await first_breach(tampered)).position == 33


async def test_a_deleted_row(tampered):
    entry = await entry_at(tampered, 22)
    await tampered.execute("delete from audit_entry where id = $1", entry)
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position, breach.entry_id) == ("missing", 22, entry)


async def test_a_row_deleted_with_its_link(tampered):
    entry = await entry_at(tampered, 22)
    await tampered.execute("delete from audit_entry where id = $1", entry)
    await tampered.execute("delete from audit_link where position = 22")
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position) == ("missing", 22)
    assert breach.day == str((TODAY - timedelta(days=2)).date())


@pytest.mark.parametrize("other", [12, 45])
async def test_two_swapped_entries(tampered, other):
    first, second = await entry_at(tampered, 11), await entry_at(tampered, other)
    spare = "00000000-0000-0000-0000-000000000000"
    for place, entry in ((11, spare), (other, first), (11, second)):
        await tampered.execute("update audit_link set entry_id = $2 where position = $1", place, entry)
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position, breach.entry_id) == ("reordered", 11, second)
    assert str(first) in breach.sentence


async def test_two_swapped_links(tampered):
    first, second = await entry_at(tampered, 11), await entry_at(tampered, 45)
    for place, new in ((11, 1_000), (45, 11), (1_000, 45)):
        await tampered.execute("update audit_link set position = $2 where position = $1", place, new)
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position, breach.entry_id) == ("reordered", 11, second)
    assert str(first) in breach.sentence


async def test_a_row_added_behind_the_chains_back(tampered):
    (entry,) = await write(tampered, at=TODAY - timedelta(days=2))
    for options in ({}, {"since": TODAY.date()}):
        found = await verify(tampered, **options)
        assert (found.breach.kind, found.breach.entry_id) == ("added", entry)


async def test_a_row_added_with_a_right_link_that_no_sealing_knows(tampered):
    await tampered.execute("set local session_replication_role = origin")
    (entry,) = await write(tampered)
    await seal(tampered, most=10)
    await tampered.execute("set local session_replication_role = replica")
    await tampered.execute("delete from audit_seal where last_position = 61")
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position, breach.entry_id) == ("added", 61, entry)
    assert not (await read_standing(tampered)).sound


async def delete_positions(connection, first, last, *, seals):
    ids = "select entry_id from audit_link where position between $1 and $2"
    await connection.execute(f"delete from audit_entry where id in ({ids})", first, last)
    await connection.execute("delete from audit_link where position between $1 and $2", first, last)
    if seals:
        await connection.execute("delete from audit_seal where last_position between $1 and $2", first, last)


@pytest.mark.parametrize("seals", [True, False])
async def test_a_whole_day_deleted(tampered, seals):
    await delete_positions(tampered, 21, 40, seals=seals)
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position) == ("missing", 21)
    assert "positions 21 to 40" in breach.sentence
    later = await verify(tampered, since=(TODAY - timedelta(days=1)).date())
    assert (later.sound, later.verified) == (False, 0)


async def test_a_whole_day_deleted_with_its_seals_is_missed_by_those_who_ask_for_that_day(tampered):
    middle = (TODAY - timedelta(days=2)).date()
    for table, column in (("audit_link", "day"), ("audit_seal", "day")):
        await tampered.execute(f"delete from {table} where {column} = $1", middle)
    await tampered.execute("delete from audit_entry where (created_at at time zone 'UTC')::date = $1", middle)
    breach = (await verify(tampered, since=middle, until=middle)).breach
    assert breach is not None
    assert (breach.kind, breach.position) == ("missing", 21)
    assert (await verify(tampered, until=middle)).breach == breach
    assert (await verify(tampered, until=middle - timedelta(days=1))).breach == breach, "it is what follows that day"
    first = (await verify(tampered, since=middle + timedelta(days=1))).breach
    assert first is not None
    assert first.kind == "missing"


async def test_the_tail_deleted(tampered):
    await delete_positions(tampered, 56, 60, seals=False)
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position) == ("missing", 56)
    assert "positions 56 to 60" in breach.sentence
    assert not (await read_standing(tampered)).sound


async def test_the_tail_deleted_with_its_seals_is_found_by_a_noted_head_only(tampered):
    head = (await links(tampered))[-1][2]
    await delete_positions(tampered, 51, 60, seals=True)
    assert (await verify(tampered)).sound
    breach = await first_breach(tampered, expect=head)
    assert breach.kind == "rewritten"
    assert head.hex() in breach.sentence


async def test_a_chain_that_was_made_anew_is_found_by_a_noted_head_only(tampered):
    head = (await links(tampered))[39][2]
    await tampered.execute("update audit_entry set reason = 'forged' where id = $1", await entry_at(tampered, 40))
    await tampered.execute("insert into audit_unsealed (entry_id) select entry_id from audit_link order by position")
    await tampered.execute("delete from audit_link")
    await tampered.execute("delete from audit_seal")
    assert await seal(tampered, most=100) == 60
    assert (await verify(tampered)).sound
    assert (await first_breach(tampered, expect=head)).kind == "rewritten"


@pytest.mark.parametrize("position", [0, 1, 40, 60])
async def test_every_head_that_ever_was_is_met(tampered, position):
    head = (await links(tampered))[position - 1][2] if position else GENESIS
    assert (await verify(tampered, expect=head)).sound


async def test_a_head_counts_from_the_beginning_only(tampered):
    with pytest.raises(InvalidValue, match="from the beginning"):
        await verify(tampered, expect=GENESIS, since=TODAY.date())


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("delete from audit_seal where last_position = 30", 21),
        ("update audit_seal set head = sha256('x') where last_position = 30", 30),
        ("update audit_seal set day = day - 30 where last_position = 30", 30),
        ("update audit_seal set first_position = 20 where last_position = 30", 21),
    ],
)
async def test_seals_are_checked_too(tampered, change, position):
    await tampered.execute(change)
    breach = await first_breach(tampered)
    assert breach.position == position
    assert "seal" in breach.sentence.lower()


async def test_deleted_before_it_was_sealed(tampered):
    await tampered.execute("set local session_replication_role = origin")
    entry, other = await write(tampered, 2)
    await tampered.execute("set local session_replication_role = replica")
    await tampered.execute("delete from audit_entry where id = $1", entry)
    assert await seal(tampered, most=10) == 1
    assert (await links(tampered))[-1][1] == other
    breach = await first_breach(tampered)
    assert (breach.kind, breach.entry_id) == ("missing", entry)


async def test_sealing_goes_on_behind_a_gap_and_the_gap_stays_known(tampered):
    await delete_positions(tampered, 56, 60, seals=False)
    await tampered.execute("set local session_replication_role = origin")
    await write(tampered, 3)
    assert await seal(tampered, most=10) == 3
    assert [position for position, _, _ in (await links(tampered))[-3:]] == [61, 62, 63]
    breach = await first_breach(tampered)
    assert (breach.kind, breach.position) == ("missing", 56)
    assert "positions 56 to 60" in breach.sentence
    later = await verify(tampered, since=TODAY.date())
    assert later.breach.kind == "changed"


@pytest.mark.parametrize("days", [(3, 3), (2, 2), (1, 1), (3, 2), (2, 1), (3, 1)])
async def test_days_are_verified_apart(tampered, days):
    first, last = ((TODAY - timedelta(days=ago)).date() for ago in days)
    found = await verify(tampered, since=first, until=last)
    count = 20 * (days[0] - days[1] + 1)
    assert (found.sound, found.verified, found.first_position) == (True, count, 20 * (3 - days[0]) + 1)
    await tampered.execute("update audit_entry set reason = 'forged' where id = $1", await entry_at(tampered, 25))
    assert (await verify(tampered, since=first, until=last)).sound == (2 not in range(days[1], days[0] + 1))


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294000-01-01", "4000-01-01 BC"])
async def test_a_time_that_python_does_not_know_is_a_changed_row_and_not_a_crash(tampered, moment):
    entry = await entry_at(tampered, 9)
    await tampered.execute(f"update audit_entry set created_at = '{moment}' where id = $1", entry)
    assert (await first_breach(tampered)).entry_id == entry
    await tampered.execute("update audit_link set day = 'infinity', created_at = 'infinity' where position = 3")
    assert (await first_breach(tampered)).position == 3


@pytest.mark.parametrize("table", ["audit_link", "audit_seal"])
@pytest.mark.parametrize("statement", ["update {} set created_at = now()", "delete from {}", "truncate {}"])
async def test_links_and_seals_are_append_only(sealed_url, table, statement):
    connection = await asyncpg.connect(sealed_url)
    try:
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(statement.format(table))
    finally:
        await connection.close()
