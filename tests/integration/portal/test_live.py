"""Live usage: what a stream says, when it ends, and that nothing of it stays."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from portal import live
from portal.web import events
from portal.web.cookies import SESSION, cookie_name
from tests.deadlines import until
from tests.usage import call, stored


class Reader:
    """A browser at the other end of a stream, which may be slow or gone."""

    def __init__(self, portal, browser, path: str) -> None:
        self.portal, self.path, self.told = portal, path, asyncio.Queue()
        self.status, self.headers, self.text, self.over = 0, {}, "", False
        cookie = browser.client.cookies.get(cookie_name(portal.settings.portal, SESSION))
        host = portal.settings.portal.base_url.partition("://")[2]
        self.fields = [(b"host", host.encode()), (b"cookie", f"{SESSION}={cookie}".encode())]
        self.slow = asyncio.Event()
        self.task: asyncio.Task | None = None

    async def run(self) -> None:
        scope = {
            "type": "http", "method": "GET", "path": self.path, "raw_path": self.path.encode(), "query_string": b"",
            "headers": self.fields, "scheme": "http", "server": ("localhost", 3000), "client": ("127.0.0.1", 1),
            "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"},
        }  # fmt: skip
        self.told.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await self.portal.app(scope, self.told.get, self.take)
        self.over = True

    async def take(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        if self.slow.is_set():
            await asyncio.Event().wait()
        self.text += message.get("body", b"").decode()

    def go(self) -> None:
        self.told.put_nowait({"type": "http.disconnect"})

    @property
    def usages(self) -> list[dict]:
        parts = self.text.split("\n\n")
        return [json.loads(part.partition("data: ")[2]) for part in parts if part.startswith("event: usage")]


@asynccontextmanager
async def reading(portal, browser, path: str):
    reader = Reader(portal, browser, path)
    reader.task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        reader.go()
        await asyncio.wait_for(asyncio.gather(reader.task, return_exceptions=True), 5)


@pytest.fixture(autouse=True)
async def nothing_stays(portal):
    """After each test no viewer, no feed and no task of theirs is left."""
    portal.app.state.services.live._seconds = 0.05
    yield
    await until(lambda: portal.app.state.services.live.viewers == 0)
    assert portal.app.state.services.live.feeds == 0
    names = {"live usage", "live events", "live reader"}
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() in names])


async def test_a_call_is_told_of_as_it_is_stored(portal, owner):
    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        assert reader.status == 200
        assert reader.headers[b"content-type"].startswith(b"text/event-stream")
        assert reader.headers[b"cache-control"] == b"no-store"
        assert (reader.usages[0]["requests_today"], reader.usages[0]["newest"]) == (0, [])
        async with portal.pool.acquire() as connection:
            now = datetime.now(UTC)
            rows = [call(owner.organization.id, now, status=404, path=b"/a\nevent: end"), call(uuid4(), now)]
            await stored(connection, rows, folded=False)
        await until(lambda: len(reader.usages) > 1)
        told = reader.usages[-1]
        assert (told["requests_today"], told["errors_today"], told["credits"]) == (1, 1, "0")
        assert told["requests_per_second"] == pytest.approx(1 / 60, abs=0.01)
        assert [(one["status"], one["path"]) for one in told["newest"]] == [(404, "/a\nevent: end")]
        assert "\nevent: end\n" not in reader.text


async def test_all_viewers_of_an_organization_share_one_query(portal, owner, monkeypatch):
    asked = []
    read = live.read_live

    async def counting(pool, organization_id, viewers, now):
        asked.append((organization_id, len(viewers)))
        return await read(pool, organization_id, viewers, now)

    monkeypatch.setattr(live, "read_live", counting)
    other = await portal.person("viewer", owner.organization)
    async with (
        reading(portal, owner.browser, f"{owner.root}/live") as first,
        reading(portal, owner.browser, "/api/dashboard/live") as second,
        reading(portal, other.browser, f"{owner.root}/live") as third,
    ):
        await until(lambda: first.usages and second.usages and third.usages)
        assert portal.app.state.services.live.feeds == 1
        del asked[:]
        await until(lambda: len(asked) >= 2)
        assert set(asked) == {(owner.organization.id, 2)}
        assert first.usages[0]["credits"] == "0"
        assert third.usages[0]["credits"] is None


async def test_a3_a_stream_ends_with_the_session(portal, owner):
    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        await portal.pool.execute("delete from portal_session where user_id = $1", owner.user_id)
        await until(lambda: reader.over)
        assert reader.text.endswith("event: end\ndata: {}\n\n")


async def test_a_stream_ends_with_the_membership(portal, owner):
    member = await portal.person("developer", owner.organization)
    async with reading(portal, member.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        await portal.pool.execute("delete from membership where user_id = $1", member.user_id)
        await until(lambda: reader.over)


async def test_a_stream_has_an_end_and_a_heartbeat(portal, owner, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(events, "LONGEST_SECONDS", 0.5)
    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.over)
        assert ": still here\n\n" in reader.text
        assert reader.text.endswith("event: end\ndata: {}\n\n")


async def test_a_reader_that_goes_leaves_nothing(portal, owner):
    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        reader.go()
        await until(lambda: reader.over)


@pytest.mark.parametrize("turns", range(6))
async def test_a_reader_that_goes_as_a_picture_comes_is_not_kept(portal, owner, turns):
    """Whichever turn of the loop lies between the two: a stream of nobody would hold its feed for a quarter of an hour."""
    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        feed = next(iter(portal.app.state.services.live._feeds.values()))
        feed._task.cancel()  # the pictures are this test's
        await asyncio.gather(feed._task, return_exceptions=True)
        await until(lambda: feed._changed._waiters)
        reader.go()
        for _ in range(turns):
            await asyncio.sleep(0)
        await feed._show(feed._picture, {viewer.session_id for viewer in feed.viewers})
        await until(lambda: reader.over, 2)


async def test_a_reader_that_takes_nothing_is_let_go(portal, owner, monkeypatch):
    monkeypatch.setattr(events, "SLOWEST_SECONDS", 0.2)
    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        reader.slow.set()
        async with portal.pool.acquire() as connection:
            await stored(connection, [call(owner.organization.id, datetime.now(UTC))], folded=False)
        await until(lambda: reader.over)


async def test_the_streams_of_a_person_are_bounded(portal, owner, monkeypatch):
    monkeypatch.setattr(live, "MOST_OF_A_PERSON", 1)
    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        answer = await owner.browser.get(f"{owner.root}/live")
        assert answer.status_code == 429
        call_ = await owner.browser.api("GET", "/dashboard/live")
        assert (call_.status_code, call_.json()["code"]) == (429, "too_many_tries")
        assert int(call_.headers["retry-after"]) > 0
        monkeypatch.setattr(live, "MOST_OF_A_PROCESS", 1)
        other = await portal.person()
        assert (await other.browser.get(f"{other.root}/live")).status_code == 429


async def test_a_stream_outlives_a_database_that_is_away_for_a_moment(portal, owner, monkeypatch):
    read = live.read_live

    async def away(*_):
        raise OSError("away")

    async with reading(portal, owner.browser, f"{owner.root}/live") as reader:
        await until(lambda: reader.usages)
        monkeypatch.setattr(live, "read_live", away)
        feed = next(iter(portal.app.state.services.live._feeds.values()))
        number = feed.number
        monkeypatch.setattr(live, "read_live", read)
        await until(lambda: feed.number > number)
        assert not reader.over
