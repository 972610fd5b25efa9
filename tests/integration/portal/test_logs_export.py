"""Request logs as a file: what stands in it, how many run at once, what becomes of one whose reader leaves."""

import asyncio
import csv
import io
import json
import re
from datetime import timedelta

import pytest

from domain.faults import TooManyTries
from domain.log_export import EXPORTS_OF_ALL, EXPORTS_OF_ONE, ExportRoom
from portal.exporting import ExportResponse
from tests.request_rows import write_request


@pytest.fixture
async def rows(portal, owner):
    """Three rows, newest first, whose texts a spreadsheet or a parser could misread."""
    return [
        await write_request(portal.pool, owner.organization.id, user_agent='=cmd|" /C calc"!A0', cost_micro=1_500_000),
        await write_request(
            portal.pool,
            owner.organization.id,
            ago=timedelta(seconds=1),
            user_agent="@SUM(1+1)",
            status=404,
            path='/a"b,c\n',
        ),
        await write_request(
            portal.pool, owner.organization.id, ago=timedelta(seconds=2), user_agent="\tx", query="-1+2", method="+GET"
        ),
    ]


async def test_a7_no_cell_is_a_formula_and_quotes_are_doubled(owner, rows):
    answer = await owner.browser.get(f"{owner.root}/logs/export?format=csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = answer.headers["content-disposition"]
    assert re.fullmatch(rf'attachment; filename="request-logs-{owner.organization.slug}-\d{{8}}-\d{{6}}\.csv"', name)
    assert answer.content.count(b"\r\n") == 4
    read = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["request_id"] for row in read] == [str(one) for one in rows]
    assert [row["user_agent"] for row in read] == ['\'=cmd|" /C calc"!A0', "'@SUM(1+1)", "'\tx"]
    assert (read[1]["path"], read[2]["query"], read[2]["method"]) == ('/a"b,c\n', "'-1+2", "'+GET")
    assert (read[0]["credits"], read[0]["total_ms"], read[0]["status"]) == ("1.5", "9.5", "200")
    for row in csv.reader(io.StringIO(answer.text, newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


async def test_json_lines_hold_the_rows_as_they_are(owner, rows):
    answer = await owner.browser.api("GET", "/logs/export?format=jsonl&status=4xx")
    assert answer.headers["content-type"] == "application/jsonl"
    (row,) = [json.loads(line) for line in answer.text.splitlines()]
    assert (row["request_id"], row["path"], row["user_agent"]) == (str(rows[1]), '/a"b,c\n', "@SUM(1+1)")


async def test_an_export_without_a_row_has_its_head(owner):
    answer = await owner.browser.get(f"{owner.root}/logs/export")
    assert answer.text.startswith("request_id,at,key,")
    assert answer.text.count("\r\n") == 1


async def test_who_takes_which_logs_stands_in_the_audit(portal, owner, rows):
    await owner.browser.get(f"{owner.root}/logs/export?format=jsonl&status=404&cursor=x")
    row = await portal.pool.fetchrow(
        "select actor_id, after from audit_entry where organization_id = $1 and verb = 'logs.export'",
        owner.organization.id,
    )
    assert row["actor_id"] == owner.user_id
    assert json.loads(row["after"]) == {"format": "jsonl", "filters": {"status": "404"}}


async def test_rows_of_others_are_in_no_file(portal, owner, rows):
    other = await portal.person()
    assert str(rows[0]) not in (await other.browser.get(f"{other.root}/logs/export")).text
    assert (await other.browser.get(f"{owner.root}/logs/export")).status_code == 404


async def test_more_batches_than_one_are_whole_and_in_order(portal, owner):
    await portal.pool.execute(
        "insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out)"
        " select gen_random_uuid(), now() - i % 700 * interval '1 ms', $1, 'GET', '/' || i, 200, 'served', 1, 0, 0"
        " from generate_series(1, 2500) i",
        owner.organization.id,
    )
    answer = await owner.browser.get(f"{owner.root}/logs/export")
    read = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(read) == len({row["request_id"] for row in read}) == 2_500
    assert [(row["at"], row["request_id"]) for row in read] == sorted(
        ((row["at"], row["request_id"]) for row in read), reverse=True
    )


async def test_a_bad_filter_or_format_is_told_and_holds_no_place(portal, owner):
    for _ in range(EXPORTS_OF_ONE + 1):
        assert (await owner.browser.get(f"{owner.root}/logs/export?format=xlsx")).status_code == 422
        assert (await owner.browser.get(f"{owner.root}/logs/export?status=9")).status_code == 422
        assert (await owner.browser.api("GET", "/logs/export?status=9")).status_code == 422
    assert (await owner.browser.get(f"{owner.root}/logs/export")).status_code == 200


async def test_a_third_export_at_once_is_refused_and_others_are_not(portal, owner):
    other = await portal.person()
    room = portal.app.state.services.exports
    place = (owner.organization.id, owner.user_id)
    with room.place(*place), room.place(*place):
        call = await owner.browser.api("GET", "/logs/export")
        assert (call.status_code, call.json()["code"], call.headers["retry-after"]) == (429, "too_many_tries", "10")
        assert (await owner.browser.get(f"{owner.root}/logs/export")).status_code == 429
        assert (await other.browser.get(f"{other.root}/logs/export")).status_code == 200
    assert (await owner.browser.get(f"{owner.root}/logs/export")).status_code == 200


def test_a_process_runs_a_bounded_number_of_exports():
    from contextlib import ExitStack
    from uuid import uuid4

    room = ExportRoom()
    with ExitStack() as held:
        for person in range(EXPORTS_OF_ALL):
            held.enter_context(room.place(uuid4(), person))
        with pytest.raises(TooManyTries), room.place(uuid4(), -1):
            pass
    with room.place(uuid4(), -1):
        pass


async def test_a_reader_who_leaves_frees_place_and_connection(portal, owner, rows):
    """The server tells of the departure while the body still comes."""
    room, ended = ExportRoom(), asyncio.Event()

    async def endless():
        try:
            while True:
                yield b"line\r\n"
                await asyncio.sleep(0)
        finally:
            ended.set()

    from contextlib import ExitStack

    place = ExitStack()
    place.enter_context(room.place(owner.organization.id, owner.user_id))
    sent = []

    async def receive():
        while len(sent) < 5:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    response = ExportResponse(endless(), place, "text/csv", "x.csv")
    await response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    assert ended.is_set()
    assert not room._running


async def test_a_fault_in_the_middle_breaks_the_answer_off(owner):
    from contextlib import ExitStack

    async def broken():
        yield b"line\r\n"
        raise TimeoutError

    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()

    with pytest.raises((TimeoutError, ExceptionGroup)):
        await ExportResponse(broken(), ExitStack(), "text/csv", "x.csv")(
            {"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send
        )
    assert sent[-1].get("more_body", True)
