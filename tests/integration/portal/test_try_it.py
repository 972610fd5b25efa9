"""Trying an operation from the portal: only our gateway is asked, within bounds, and the key is nowhere afterwards."""

import asyncio
import json
import logging
import secrets
from contextlib import contextmanager

import pytest

from domain import keys, operations, services
from domain.faults import InvalidValue
from portal import calls
from portal.calls import filled_path
from tests.databases import PEPPERS
from tests.gateways import running_gateway
from tests.wire.upstream import RecordingUpstream, Script, reached

STEM = "tried"


@pytest.fixture(scope="module")
def gateway():
    """What stands in the gateway's place, to answer as no gateway would."""
    upstream = RecordingUpstream().start()
    yield upstream
    upstream.stop()


@contextmanager
def gateway_at(portal, url):
    """The portal with its gateway there."""
    before = portal.settings.portal
    portal.settings.portal = before.model_copy(update={"gateway_url": url})
    yield
    portal.settings.portal = before


class Trial:
    """An operation of a service of its own, and a key that may call it."""

    def __init__(self, portal, person, slug, operation_id, key):
        self.portal, self.person, self.slug, self.key = portal, person, slug, key
        self.path = f"{person.root}/services/{slug}/{operation_id}"

    async def send(self, person=None, **fields):
        """Send the form."""
        return await (person or self.person).browser.post(self.path, {"key": self.key.plaintext, **fields})


async def trial_of(portal, person, *, method="*", pattern="/{place}/*", upstream_port=1, **columns):
    """A service with one operation."""
    slug = f"{STEM}-{secrets.token_hex(4)}"
    async with portal.pool.acquire() as connection, connection.transaction():
        await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=[f"http://127.0.0.1:{upstream_port}"])
        made = await operations.create(
            connection, service_slug=slug, method=method, path_pattern=pattern, name="try", **columns
        )
        key = await keys.create(
            connection, portal.settings.keys, organization_id=person.organization.id, name="To try with"
        )
    return Trial(portal, person, slug, made.id, key)


@pytest.fixture
async def trial(portal, owner, gateway):
    """A trial whose gateway is the stand-in."""
    made = await trial_of(portal, owner)
    with gateway_at(portal, f"http://127.0.0.1:{gateway.port}"):
        yield made
    await portal.pool.execute("delete from service where slug = $1", made.slug)


def answer(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer as bytes."""
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(body), b"", body]
    return b"\r\n".join(lines)


async def test_what_was_written_arrives_and_the_answer_is_shown(gateway, trial):
    head = (b"Content-Type: text/html", b"X-Credits-Charged: 0.05", b"X-Request-Id: 0193-abc")
    gateway.script(trial.slug, Script(answer(b"<script>alert(1)</script>", *head)))
    page = await trial.send(
        **{
            "method": "PUT",
            "path.place": "a b",
            "path.*": "x/y z",
            "query": "?q=1&r=\u00e4 b#c",
            "body": '{"n": 1}\r\n',
        }
    )
    assert page.status_code == 200
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "0.05 credits" in page.text
    assert f"{trial.person.root}/logs/0193-abc" in page.text
    (record,) = gateway.since(containing=trial.slug)
    assert record.request.target == f"/{trial.slug}/a%20b/x/y%20z?q=1&r=%C3%A4%20b%23c"
    assert f"x-api-key: {trial.key.plaintext}" in record.text.lower().replace(
        trial.key.plaintext.lower(), trial.key.plaintext
    )
    assert record.raw.endswith(b'{"n": 1}\n')


async def test_the_key_is_neither_echoed_nor_kept_nor_logged(portal, gateway, trial, caplog):
    caplog.set_level(logging.DEBUG)
    key = trial.key.plaintext
    gateway.script(trial.slug, Script(answer(f"you sent {key}".encode(), b"X-Echo: " + key.encode())))
    pages = [await trial.send(**{"method": "GET", "path.place": "a", "path.*": "b"}), await trial.send(method="GET")]
    assert [page.status_code for page in pages] == [200, 422]
    assert "you sent ***" in pages[0].text
    for text in (*(page.text for page in pages), caplog.text):
        assert key not in text
        assert key.rpartition("_")[2] not in text
    for table in ("audit_entry", "api_reply"):
        kept = await portal.pool.fetchval(f"select coalesce(string_agg(t::text, ''), '') from {table} t")
        assert key not in kept


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"key": ""}, "This is no active API key"),
        ({"key": "pe_live_0000000000_" + "0" * 38}, "This is no active API key"),
        ({"key": "x\r\nHost: evil"}, "This is no active API key"),
        ({"key": "\u00e4" * 600}, "This is no active API key"),
        ({"path.place": ".."}, "Give a value for place"),
        ({"path.place": ""}, "Give a value for place"),
        ({"path.place": "a/b"}, "cannot stand in a path"),
        ({"path.place": "a\\b"}, "cannot stand in a path"),
        ({"path.place": "a\x00"}, "cannot stand in a path"),
        ({"path.*": "a/../b"}, "Give a value for the rest of the path"),
        ({"path.*": "//"}, "Give a value for the rest of the path"),
        ({"method": "CONNECT"}, "Choose a method"),
        ({"method": "GET\r\nX: y"}, "Choose a method"),
        ({"content_type": "text/plain\r\nX: y"}, "The content type looks like"),
        ({"method": "POST", "body": "x" * 70_000}, "at most 65536 bytes"),
        ({"query": "q" * 2_001}, "at most 2000 characters"),
    ],
)
async def test_what_cannot_be_sent_is_told_and_nothing_goes_out(gateway, trial, fields, told):
    page = await trial.send(**{"method": "GET", "path.place": "a", "path.*": "b", **fields})
    assert (page.status_code, told in page.text) == (422, True)
    assert gateway.since(containing=trial.slug) == []


async def test_a_key_of_another_organization_or_one_that_has_ended_is_not_sent(portal, gateway, trial):
    other = await portal.person()
    foreign = await keys.create(portal.pool, portal.settings.keys, organization_id=other.organization.id, name="Theirs")
    await keys.revoke(portal.pool, trial.key.record.id, organization_id=None)
    for key in (foreign.plaintext, trial.key.plaintext):
        page = await trial.send(**{"method": "GET", "path.place": "a", "path.*": "b", "key": key})
        assert (page.status_code, "This is no active API key" in page.text) == (422, True)
    assert gateway.since(containing=trial.slug) == []


async def test_an_imported_key_can_be_tried_too(portal, gateway, trial):
    text = f"old-key-{secrets.token_hex(8)}"
    await keys.import_sha256(
        portal.pool,
        organization_id=trial.person.organization.id,
        name="Old",
        sha256_hex=keys.sha256_digest(text.encode()).hex(),
    )
    page = await trial.send(**{"method": "GET", "path.place": "a", "path.*": "b", "key": text})
    assert page.status_code == 200
    assert len(gateway.since(containing=trial.slug)) == 1


async def test_a_redirect_is_shown_and_not_followed(gateway, trial):
    gateway.script(trial.slug, Script(answer(b"", b"Location: http://169.254.169.254/", status=b"302 Found")))
    page = await trial.send(**{"method": "GET", "path.place": "a", "path.*": "b"})
    assert "302" in page.text
    assert "location: http://169.254.169.254/" in page.text.lower()
    assert len(gateway.since(containing=trial.slug)) == 1


async def test_a_large_body_is_cut_and_what_is_no_text_is_only_measured(gateway, trial):
    gateway.script(f"{trial.slug}/large", Script(answer(b"y" * 1_000_000, b"Content-Type: text/plain")))
    page = await trial.send(**{"method": "GET", "path.place": "large", "path.*": "b"})
    assert calls.LARGEST_SHOWN <= page.text.count("y") < calls.LARGEST_SHOWN + 5_000
    assert "The rest is left out here" in page.text
    for place, field in (("image", b"Content-Type: image/png"), ("zip", b"Content-Encoding: gzip")):
        gateway.script(f"{trial.slug}/{place}", Script(answer(b"\x1f\x8b\x00\xff", field)))
        page = await trial.send(**{"method": "GET", "path.place": place, "path.*": "b"})
        assert "4 bytes that are no text" in page.text


async def test_an_answer_that_takes_too_long_is_waited_for_no_longer(gateway, trial, monkeypatch):
    monkeypatch.setattr(calls, "SECONDS", 0.2)
    gateway.script(trial.slug, Script(b"", delay_ms=3_000, late=answer(b"late")))
    page = await trial.send(**{"method": "GET", "path.place": "a", "path.*": "b"})
    assert page.status_code == 200
    assert "took longer than 0.2 s" in page.text


async def test_a_gateway_that_is_not_there_is_told(portal, trial):
    with gateway_at(portal, "http://127.0.0.1:1"):
        page = await trial.send(**{"method": "GET", "path.place": "a", "path.*": "b"})
    assert "The gateway could not be reached from here" in page.text


async def test_one_call_of_a_person_is_under_way_at_a_time_and_holds_no_connection(portal, gateway, trial):
    gateway.script(trial.slug, Script(b"", delay_ms=400, late=answer(b"ok")))
    form = {"method": "GET", "path.place": "a", "path.*": "b"}
    first = asyncio.ensure_future(trial.send(**form))
    assert await reached(lambda: gateway.since(containing=trial.slug), 3)
    assert portal.pool.get_idle_size() == portal.pool.get_size()
    second = await trial.send(**form)
    assert (second.status_code, "still under way" in second.text) == (429, True)
    assert (await first).status_code == 200
    assert (await trial.send(**form)).status_code == 200


async def test_who_may_not_build_may_not_call(portal, trial):
    viewer = await portal.person("viewer", trial.person.organization)
    assert 'name="key"' not in (await viewer.browser.get(trial.path)).text
    assert (await trial.send(viewer, method="GET")).status_code == 403


@pytest.mark.parametrize("value", ["%2e%2e", "..;x", "a%2fb", "http://evil/", "?x", "#x", "@evil"])
def test_no_value_leaves_its_segment(value):
    if "/" in value:
        with pytest.raises(InvalidValue):
            filled_path("/a/{b}/c", {"b": value})
        return
    path = filled_path("/a/{b}/c", {"b": value})
    assert path.count("/") == 3
    assert path.startswith("/a/")
    assert not set("?#") & set(path)
    assert "%2e" not in path.lower().replace("%252e", "")


async def test_the_real_gateway_answers_as_for_any_program_and_hears_of_narrowed_and_revoked_keys(
    portal, owner, gateway, database_url, redis_url
):
    trial = await trial_of(
        portal, owner, method="POST", pattern="/echo/{word}", upstream_port=gateway.port, replays=True
    )
    async with running_gateway(database_url, redis_url, KEY_PEPPERS=PEPPERS) as real:
        with gateway_at(portal, f"http://{real.address[0]}:{real.address[1]}"):
            page = await trial.send(**{"path.word": "hi", "query": "a=b", "body": json.dumps({"n": 1})})
            assert page.status_code == 200
            assert "Its log entry" in page.text
            (record,) = gateway.since(containing="/echo/hi")
            assert record.request.target.endswith("/echo/hi?a=b")
            assert trial.key.plaintext not in record.text
            await keys.set_scopes(portal.pool, trial.key.record.id, ["other"], organization_id=None)

            async def refused() -> bool:
                return "scope_missing" in (await trial.send(**{"path.word": "hi"})).text

            deadline = asyncio.get_running_loop().time() + 5
            while not await refused():
                assert asyncio.get_running_loop().time() < deadline
            assert (await owner.browser.post(f"{owner.root}/keys/{trial.key.record.id}/revoke")).status_code == 303
            raw = real.request(f"/{trial.slug}/echo/hi", trial.key.plaintext, method="POST")
            while (await real.ask(raw)).status != 401:
                assert asyncio.get_running_loop().time() < deadline + 5
    await portal.pool.execute("delete from service where slug = $1", trial.slug)
