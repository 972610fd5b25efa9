"""Request logs as a customer reads them: filters, pages, one request in full."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain import keys, operations, plans, services
from domain.journal.decision import DecisionForm, Flag, KeyFault, Step
from domain.snapshots import LimitSnapshot
from portal.pages.logs import repeating_command
from tests.portals import PLAN
from tests.request_rows import id_at, write_request

SECOND = timedelta(seconds=1)


@pytest.fixture
async def logs(portal, owner):
    """Somebody's organization with a row of every sort; ids by name."""
    made = await keys.create(
        portal.pool, portal.settings.keys, organization_id=owner.organization.id, name="Production <key>"
    )
    slug = f"svc-{uuid4().hex[:8]}"
    service = await services.create(portal.pool, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:9"])
    operation = await operations.create(
        portal.pool, service_slug=slug, method="GET", path_pattern="/items/{id}", name="get-item"
    )
    organization_id = owner.organization.id

    async def write(seconds, **columns):
        return await write_request(portal.pool, organization_id, ago=seconds * SECOND, **columns)

    return {
        "served": await write(10, key_id=made.record.id, service_id=service.id, operation_id=operation.id),
        "limited": await write(20, status=429, outcome="refused", refusal="rate_limited", limit_name="100/minute",
                               upstream_us=None, cost_micro=0, key_id=made.record.id),
        "failed": await write(30, status=502, outcome="failed", refusal="upstream_unreachable", method="POST"),
        "slow": await write(40, total_us=2_500_000, path="/weather/slow", client="2001:db8::7"),
        "old": await write(7_200, path="/other/<script>alert(1)</script>", query="a=%3Cb%3E&token=***"),
        "key": made.record, "service": service, "operation": operation,
    }  # fmt: skip


async def found(person, query: str) -> set[str]:
    answer = await person.browser.api("GET", f"/logs{query}")
    assert answer.status_code == 200, answer.text
    return {item["id"] for item in answer.json()["data"]}


async def test_the_page_shows_the_newest_first_and_says_why_one_was_refused(owner, logs):
    page = await owner.browser.get(f"{owner.root}/logs")
    assert page.status_code == 200
    places = [page.text.index(str(logs[name])) for name in ("served", "limited", "failed", "slow", "old")]
    assert places == sorted(places)
    assert "Limit reached: 100/minute" in page.text
    assert "Upstream unreachable" in page.text


async def test_a_row_of_a_caller_is_never_markup(owner, logs):
    for path in (f"{owner.root}/logs", f"{owner.root}/logs/{logs['old']}", f"{owner.root}/logs?path=/%3Cscript%3E"):
        page = await owner.browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<key>" not in page.text


async def test_each_filter_finds_what_it_says(owner, logs):
    everything = {str(logs[name]) for name in ("served", "limited", "failed", "slow", "old")}
    now = datetime.now(UTC)
    an_hour_ago = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    expected = {
        "": everything,
        f"?key={logs['key'].id}": {"served", "limited"},
        f"?service={logs['service'].slug}": {"served"},
        f"?operation={logs['operation'].id}": {"served"},
        "?status=429": {"limited"},
        "?status=4xx": {"limited"},
        "?status=5xx": {"failed"},
        "?status=2xx": {"served", "slow", "old"},
        "?outcome=refused": {"limited"},
        "?refusal=upstream_unreachable": {"failed"},
        "?method=POST": {"failed"},
        "?path=/weather/slow": {"slow"},
        f"?id={logs['slow']}": {"slow"},
        "?min_ms=1000": {"slow"},
        "?client=2001:db8::7": {"slow"},
        "?client=198.51.100.0/24": {"served", "limited", "failed", "old"},
        f"?from={an_hour_ago}": {"served", "limited", "failed", "slow"},
        f"?to={an_hour_ago}": {"old"},
        f"?key={logs['key'].id}&status=4xx&outcome=refused&from={an_hour_ago}": {"limited"},
        f"?key={logs['key'].id}&status=5xx": set(),
        f"?key={uuid4()}": set(),
        f"?id={uuid4()}": set(),
        "?service=no-such-one": set(),
    }
    for query, names in expected.items():
        wanted = names if query == "" else {str(logs[name]) for name in names}
        assert await found(owner, query) == wanted, query
        if "to=" in query or "from=" in query or "key=" in query:
            continue
        page = await owner.browser.get(f"{owner.root}/logs{query}")
        assert {one for one in everything if f"/logs/{one}" in page.text} == wanted, query


@pytest.mark.parametrize("by", ["name", "prefix"])
async def test_a_key_is_found_by_name_or_beginning(owner, logs, by):
    page = await owner.browser.get(f"{owner.root}/logs", params={"key": getattr(logs["key"], by)})
    assert str(logs["served"]) in page.text
    assert str(logs["failed"]) not in page.text


async def test_times_without_an_offset_are_those_of_the_zone_in_the_url(owner, logs):
    at_kiritimati = (datetime.now(UTC) + timedelta(hours=14) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    page = await owner.browser.get(f"{owner.root}/logs?from={at_kiritimati}&zone=Pacific/Kiritimati")
    assert str(logs["served"]) in page.text
    assert str(logs["old"]) not in page.text


@pytest.mark.parametrize(
    "query",
    [
        "status=abc", "status=600", "outcome=x", "refusal=x", "id=x", "operation=1", "min_ms=-1", "min_ms=1e9", "client=x",
        "path=weather", "from=yesterday", "from=2026-01-01T00:00&zone=Mars/Base", "key=no-such-key", "range=2h",
        "from=2026-01-02&to=2026-01-01", "path=/%00", "method=%20GET%20x", "service=%27",
        "from=2026-01-01T00:00&zone=../../etc/passwd",
    ],
)  # fmt: skip
async def test_a_filter_that_cannot_be_read_is_told_beside_what_was_written(owner, query):
    page = await owner.browser.get(f"{owner.root}/logs?{query}")
    assert page.status_code == 422
    assert 'role="alert"' in page.text


async def test_a_cursor_that_no_page_gave_does_not_exist(owner):
    assert (await owner.browser.get(f"{owner.root}/logs?cursor=AAAA")).status_code == 404


async def test_active_filters_are_chips_that_can_be_removed(owner, logs):
    page = await owner.browser.get(f"{owner.root}/logs?status=4xx&path=/weather&method=GET")
    assert f'href="{owner.root}/logs?method=GET&amp;path=%2Fweather"' in page.text
    assert f'href="{owner.root}/logs?status=4xx&amp;path=%2Fweather"' in page.text
    assert page.text.count('aria-label="Remove the filter') == 3


async def test_pages_of_fifty_follow_each_other_without_a_gap(portal, owner):
    written = [
        str(await write_request(portal.pool, owner.organization.id, ago=number * SECOND)) for number in range(120)
    ]
    seen, path, pages = [], f"{owner.root}/logs", 0
    while path:
        page = await owner.browser.get(path)
        seen += [
            part[:36] for part in page.text.split(f'href="{owner.root}/logs/')[1:] if not part.startswith("export")
        ]
        path = page.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        pages += 1
    assert (seen, pages) == (written, 3)


async def test_rows_of_one_moment_are_paged_each_once(portal, owner):
    moment = datetime.now(UTC)
    await portal.pool.execute(
        "insert into request_log (id, at, organization_id, method, path, status, outcome, total_us, bytes_in, bytes_out)"
        " select gen_random_uuid(), $2, $1, 'GET', '/', 200, 'served', 1, 0, 0 from generate_series(1, 30)",
        owner.organization.id,
        moment,
    )
    seen, cursor = [], ""
    while cursor is not None:
        answer = (await owner.browser.api("GET", f"/logs?limit=7{cursor and f'&cursor={cursor}'}")).json()
        seen += [item["id"] for item in answer["data"]]
        cursor = answer["next_cursor"]
    assert len(seen) == len(set(seen)) == 30


async def test_empty_lists_say_why(portal, owner):
    assert "No requests yet" in (await owner.browser.get(f"{owner.root}/logs")).text
    assert "Make your first call" in (await owner.browser.get(f"{owner.root}/logs?status=5xx")).text
    await write_request(portal.pool, owner.organization.id)
    assert "No request matches these filters" in (await owner.browser.get(f"{owner.root}/logs?status=5xx")).text
    long_ago = await owner.browser.get(f"{owner.root}/logs?to=2020-01-01T00:00")
    assert "Request logs are kept for 3 days" in long_ago.text
    old_id = id_at(datetime.now(UTC) - timedelta(days=30))
    assert "kept for 3 days" in (await owner.browser.get(f"{owner.root}/logs?id={old_id}")).text


async def test_one_request_is_explained_and_can_be_sent_again(owner, logs):
    page = await owner.browser.get(f"{owner.root}/logs/{logs['limited']}")
    assert page.status_code == 200
    assert "/errors/rate_limited" in page.text
    assert "Refused with 429: Limit reached (rate_limited)." in page.text
    assert "was not traced" in page.text
    assert f"localhost:{owner.browser.settings.gateway.port}/weather/v1/items/1" in page.text
    assert "X-API-Key: YOUR_API_KEY" in page.text


async def test_the_trace_of_the_decision_stands_in_words(portal, owner):
    plan = await plans.fetch_plan(portal.pool, PLAN)
    limit = await portal.pool.fetchrow(
        "select id, name, amount, period, scope, shadow from plan_limit where plan_id = $1 and period = 'hour'", plan.id
    )
    trace = DecisionForm(plan.id, [LimitSnapshot(**limit)]).pack(
        Step.LIMIT, KeyFault.NONE, Flag.WAITED, 7, [0, 33], [limit["name"]]
    )
    request_id = await write_request(
        portal.pool, owner.organization.id, status=429, outcome="refused", refusal="rate_limited", decision=trace
    )
    page = await owner.browser.get(f"{owner.root}/logs/{request_id}")
    assert "used up: " in page.text
    assert "Not reached" in page.text
    assert "33 s" in page.text
    call = (await owner.browser.api("GET", f"/logs/{request_id}")).json()
    assert [step["verdict"] for step in call["steps"]] == ["passed"] * 5 + ["refused"] + ["not-reached"] * 3
    assert call["limits"][0]["verdict"] == "exceeded"


async def test_anothers_request_does_not_exist(portal, owner, logs):
    other = await portal.person()
    for request_id in (logs["served"], uuid4(), "ffffffff-ffff-7fff-bfff-ffffffffffff"):
        assert (await other.browser.get(f"{other.root}/logs/{request_id}")).status_code == 404
        assert (await other.browser.api("GET", f"/logs/{request_id}")).status_code == 404
    assert await found(other, f"?id={logs['served']}") == set()
    assert await found(other, f"?key={logs['key'].id}") == set()
    foreign = await other.browser.get(f"{other.root}/logs?key={logs['key'].id}")
    unknown = await other.browser.get(f"{other.root}/logs?key={uuid4()}")
    assert foreign.status_code == unknown.status_code == 422
    assert (await other.browser.get(f"{owner.root}/logs")).status_code == 404


@pytest.mark.parametrize("role", ["admin", "developer", "billing", "viewer"])
async def test_every_role_may_read_logs(portal, owner, role):
    person = await portal.person(role, owner.organization)
    assert (await person.browser.get(f"{owner.root}/logs")).status_code == 200


@pytest.mark.parametrize(
    "query", ["status=4", "client=x", "from=2026-01-01T00:00", "range=1h", "id=1", "outcome=x", "limit=0", "limit=201"]
)
async def test_the_api_refuses_what_it_does_not_know(owner, query):
    assert (await owner.browser.api("GET", f"/logs?{query}")).status_code == 422


async def test_the_command_is_safe_to_paste_whatever_the_path_holds(portal, owner):
    from domain.log_search import find_log

    request_id = await write_request(
        portal.pool, owner.organization.id, path="/a'; rm -rf ~; echo '{1}", query="q=$(id)", method="PO$T", bytes_in=3
    )
    entry = await find_log(portal.pool, owner.organization.id, request_id)
    assert repeating_command("http://g", entry) == (
        "curl --globoff -X 'PO$T' 'http://g/a'\"'\"'; rm -rf ~; echo '\"'\"'{1}?q=$(id)' \\\n"
        "  -H 'X-API-Key: YOUR_API_KEY' \\\n  --data-binary @body"
    )
