"""Both stores answer the same, to the row: every filter, every page, names, texts that could break a statement."""

import random
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from uuid import UUID, uuid4

import pytest

from domain import keys, operations, organizations, plans, services
from domain.limit_texts import LimitSpec
from domain.log_reading import LogFilter
from domain.log_search import LogSearch
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.outbox import adopt
from domain.log_store.shipping import send_next
from domain.log_store.store import POSTGRES
from domain.settings import KeySettings
from tests.clickhouse.moving import move_all
from tests.databases import PEPPERS
from tests.request_rows import write_request

HARD = (
    "/a'; drop table request_log; --",
    "/{x:String}",
    "/tab\there\\n",
    "/\u00e4\u4e2d\U0001f600",
    '/"quoted"',
    "/\\",
    "/%27",
)
CLIENTS = ("198.51.100.7", "198.51.101.7", "2001:db8::7", "2001:db9::1", "::ffff:198.51.100.7", None)
ROWS = 240


class Shop:
    """Two organizations with keys, a service with operations, and rows of every sort, from now to three days ago."""

    def __init__(self, connection) -> None:
        self.connection, self.pick = connection, random.Random(11)
        self.organizations, self.keys, self.operations = [], [], []
        self.service = ""

    async def fill(self) -> None:
        await plans.create(self.connection, slug="free", limits=[LimitSpec("hour", 5, "hour")])
        for slug in ("acme", "other"):
            made = await organizations.create(self.connection, name=slug, plan_slug="free", slug=slug)
            self.organizations.append(made.id)
            key = await keys.create(
                self.connection, KeySettings(peppers=PEPPERS), organization_id=made.id, name=f"key of {slug}"
            )
            self.keys.append(key.record.id)
        service = await services.create(self.connection, slug="svc", prefix="/svc", upstreams=["http://127.0.0.1:9"])
        self.service = service.slug
        for name in ("one", "two"):
            made = await operations.create(
                self.connection, service_slug="svc", method="GET", path_pattern=f"/{name}", name=name
            )
            self.operations.append(made.id)
        moments = [timedelta(seconds=self.pick.randrange(3 * 86_400)) for _ in range(ROWS)]
        for ago in moments:
            await self._row(ago, service.id)

    async def _row(self, ago: timedelta, service_id: UUID) -> None:
        pick = self.pick
        whose = pick.choice((0, 0, 0, 1, None))
        status = pick.choice((200, 200, 201, 404, 429, 502))
        await write_request(
            self.connection,
            None if whose is None else self.organizations[whose],
            ago=ago,
            key_id=None if whose is None else pick.choice((self.keys[whose], uuid4())),
            service_id=pick.choice((service_id, None, uuid4())),
            operation_id=pick.choice((*self.operations, None)),
            method=pick.choice(("GET", "POST", "PO$T")),
            path=pick.choice(("/svc/one", "/svc/two", *HARD)),
            query=pick.choice(("", "a=1", "x='\t\\'")),
            status=status,
            outcome=pick.choice(("refused", "failed")) if status > 400 else pick.choice(("served", "cut")),
            refusal=pick.choice(("rate_limited", None)) if status == 429 else None,
            limit_name=pick.choice(("100/minute", None)),
            upstream_us=pick.choice((None, 0, 7_000)),
            total_us=pick.choice((10, 9_999, 2_500_000)),
            client=pick.choice(CLIENTS),
            user_agent=pick.choice((None, "", "curl/8\v\f\b", "\\N")),
            cost_micro=pick.choice((0, 1_000)),
            trace_id=pick.choice((None, "0af7651916cd43dd8448eb211c80319c")),
            decision=pick.choice((None, b"\x00\xff\t\n\\")),
        )

    def search(self) -> LogSearch:
        """Any filters together."""
        pick, now = self.pick, datetime.now(UTC)

        def maybe(*values):
            return pick.choice((None, None, None, *values))

        return LogSearch(
            since=maybe(now - timedelta(hours=pick.randrange(72))),
            until=maybe(now - timedelta(hours=pick.randrange(72)), datetime(9000, 1, 1, tzinfo=UTC)),
            key_ids=pick.choice(((), (), (self.keys[0],), tuple(self.keys))),
            service=maybe(self.service, "no-such"),
            operation_id=maybe(*self.operations, uuid4()),
            lowest_status=maybe(400, 200),
            highest_status=maybe(499),
            outcome=maybe("served", "refused", "failed"),
            refusal=maybe("rate_limited"),
            method=maybe("GET", "PO$T"),
            path=maybe("/svc", "/", *HARD),
            least_us=maybe(9_999, 10_000),
            client=maybe(*map(ip_network, ("198.51.100.0/24", "198.51.100.7", "2001:db8::/32", "::/0", "0.0.0.0/0"))),
        )


@pytest.fixture
async def shop(database, turned_on) -> Shop:
    made = Shop(database)
    await made.fill()
    return made


async def all_pages(logs, connection, organization_id, wanted, limit):
    found, after = [], None
    for _ in range(200):
        page = await logs.search(connection, organization_id, wanted, after=after, limit=limit)
        assert len(page.entries) <= limit
        found += page.entries
        after = page.following
        if after is None:
            return found
    raise AssertionError("the pages do not end")


async def all_batches(logs, connection, organization_id, wanted):
    found, after = [], None
    for _ in range(200):
        page = await logs.take_batch(connection, organization_id, wanted, after=after, limit=17)
        found += page.entries
        after = page.following
        if after is None:
            return found
    raise AssertionError("the batches do not end")


async def test_every_search_finds_the_same_rows_in_the_same_order_in_either_store(shop, database, turned_on):
    logs, owner = ClickHouseLogs(turned_on), shop.organizations[0]
    asked = [(shop.search(), shop.pick.choice((1, 7, 50))) for _ in range(50)] + [(LogSearch(), 50)]
    before = [await all_pages(POSTGRES, database, owner, wanted, limit) for wanted, limit in asked]
    batches = [await all_batches(POSTGRES, database, owner, wanted) for wanted, _ in asked]
    assert sum(map(len, before)) > 200
    assert await move_all(database, turned_on) == ROWS
    assert await database.fetchval("select count(*) from request_log") == 0
    for (wanted, limit), expected, batch in zip(asked, before, batches, strict=True):
        assert await all_pages(logs, database, owner, wanted, limit) == expected, wanted
        assert await all_batches(logs, database, owner, wanted) == batch == expected, wanted


async def test_rows_that_wait_and_rows_that_are_sent_make_one_list(shop, database, turned_on):
    """Sent a piece at a time, and read in between: nothing is missing, nothing there twice."""
    logs, owner = ClickHouseLogs(turned_on), shop.organizations[0]
    asked = [shop.search() for _ in range(6)] + [LogSearch()]
    expected = [await all_pages(POSTGRES, database, owner, wanted, 9) for wanted in asked]
    await database.execute("update log_store set adopted_at = null")
    await adopt(database, turned_on)
    sent, rounds = 0, 0
    while sent < ROWS:
        await database.execute(
            "update log_outbox set shipment = gen_random_uuid()"
            " where stored_at in (select stored_at from log_outbox order by stored_at limit 40)"
        )
        for _ in range(40):
            sent += await send_next(database, turned_on)
        rounds += 1
        for wanted, rows in zip(asked, expected, strict=True):
            assert await all_pages(logs, database, owner, wanted, 9) == rows, wanted
            assert await all_batches(logs, database, owner, wanted) == rows, wanted
    assert rounds >= ROWS // 40


async def test_one_request_its_decision_and_everybodys_newest(shop, database, turned_on):
    logs = ClickHouseLogs(turned_on)
    filters = (
        LogFilter(),
        LogFilter(lowest_status=400, highest_status=499),
        LogFilter(organization_id=shop.organizations[1]),
        LogFilter(key_id=shop.keys[0]),
        LogFilter(since=datetime.now(UTC) - timedelta(hours=5)),
        LogFilter(until=datetime.now(UTC) - timedelta(hours=50)),
    )
    lists = [await POSTGRES.newest(database, wanted, 70) for wanted in filters]
    some = lists[0][:30]
    decisions = [await POSTGRES.decision(database, entry) for entry in some]
    assert len({decision is None for decision in decisions}) == 2
    await move_all(database, turned_on)
    for wanted, expected in zip(filters, lists, strict=True):
        assert await logs.newest(database, wanted, 70) == expected, wanted
    assert [await logs.decision(database, entry) for entry in some] == decisions
    for entry in some:
        assert await logs.newest(database, LogFilter(request_id=entry.id), 1) == [entry]
        whose = {None: None, "acme": shop.organizations[0], "other": shop.organizations[1]}[entry.organization]
        for organization_id in shop.organizations:
            found = await logs.find(database, organization_id, entry.id)
            assert found == (entry if organization_id == whose else None)
    assert await logs.find(database, shop.organizations[0], uuid4()) is None
    assert await logs.has_any(database, shop.organizations[0])
    assert not await logs.has_any(database, uuid4())


async def test_what_is_typed_is_only_ever_a_value(shop, database, turned_on):
    """Injection through a filter finds what has that text, of one's own organization, and nothing else."""
    logs, owner = ClickHouseLogs(turned_on), shop.organizations[0]
    rows = await POSTGRES.newest(database, LogFilter(organization_id=owner), 1_000)
    await move_all(database, turned_on)
    for text in (*HARD, "/svc/one' or 1=1 --", "/\x01", "/{organization:UUID}", "/" + "x" * 2_047):
        expected = [entry for entry in rows if entry.path.startswith(text)]
        assert await all_pages(logs, database, owner, LogSearch(path=text), 50) == expected, text
        assert (await logs.search(database, owner, LogSearch(method=text, refusal=text), limit=5)).entries == []
    assert len(await all_pages(logs, database, owner, LogSearch(), 50)) == len(rows) > 100
