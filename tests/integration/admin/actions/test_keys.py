"""Actions on keys: shown once, stopped for ever, found in what leaked without a secret that comes back."""

import asyncio
import json
from uuid import uuid4

import pytest

from domain import keys
from domain.key_format import crc_ok, mint
from tests.audited import written
from tests.mailboxes import mails_to


async def _key(office, organization, name="a key", **options):
    return await keys.create(office.pool, office.settings.keys, organization_id=organization.id, name=name, **options)


async def _state(office, key_id):
    return (await keys.fetch_key(office.pool, key_id, organization_id=None)).state


async def _event_types(office, organization):
    rows = await office.pool.fetch(
        "select type, payload from webhook_event where organization_id = $1 order by created_at", organization.id
    )
    return [(row["type"], json.loads(row["payload"])["data"].get("reason")) for row in rows]


async def _listening(office):
    """An owner whose organization has a webhook endpoint."""
    person = await office.person()
    await office.pool.execute(
        "insert into webhook_endpoint (organization_id, url, secret) values ($1, 'https://example.com/hook', 'x')",
        person.organization.id,
    )
    return person


async def test_a_minted_key_is_shown_once_and_works(office, superuser):
    person = await _listening(office)
    values = {"organization": person.organization.slug, "name": "From support", "environment": "test", "scopes": ""}
    seen = await superuser.browser.preview("mint-key", **values)
    assert "gets a test key for everything, good until it is revoked." in seen.text
    assert "<td>0</td><td><strong>1</strong></td>" in seen.text
    done = await superuser.browser.act("mint-key", "lost theirs", **values)
    plaintext = done.text.split('<code tabindex="0">')[1].split("<")[0]
    assert crc_ok(plaintext.encode())
    [key] = await keys.list_keys(office.pool, organization_id=person.organization.id)
    assert (key.name, key.environment, key.created_by) == ("From support", "test", None)
    [entry] = await written(office, key.id)
    assert (entry.verb, entry.reason, plaintext in str(entry)) == ("key.create", "lost theirs", False)
    assert await _event_types(office, person.organization) == [("key.created", None)]
    kept = await office.pool.fetchval("select string_agg(body::text, ' ') from api_reply")
    assert plaintext not in kept


async def test_a_key_for_nothing_or_for_who_is_suspended_is_not_minted(office, superuser):
    organization = await office.organization()
    values = {"organization": organization.slug, "name": "x", "environment": "live"}
    answer = await superuser.browser.act("mint-key", scopes="no-such-service", **values)
    assert (answer.status_code, "There is no service or operation no-such-service" in answer.text) == (422, True)
    form = await superuser.browser.look("mint-key", **values)
    await superuser.browser.act("suspend-organization", organization=organization.slug)
    late = await superuser.browser.post("/actions/mint-key", {**form, "reason": "too late"})
    assert (late.status_code, "is suspended: its keys would be refused" in late.text) == (409, True)
    assert await keys.list_keys(office.pool, organization_id=organization.id) == []


async def test_a_key_is_rotated_with_an_overlap_once(office, superuser):
    organization = await office.organization()
    old = (await _key(office, organization, "main")).record
    values = {"key": old.prefix, "overlap_hours": "48"}
    seen = await superuser.browser.preview("rotate-key", **values)
    assert "<td>never</td><td><strong>48 hours after that</strong></td>" in seen.text
    done = await superuser.browser.act("rotate-key", "staff left", **values)
    assert done.status_code == 200, done.text
    [new] = [key for key in await keys.list_keys(office.pool, organization_id=organization.id) if key.id != old.id]
    assert new.rotated_from == old.id
    ends_at = (await keys.fetch_key(office.pool, old.id, organization_id=None)).expires_at
    assert round((ends_at - new.created_at).total_seconds()) == 48 * 3600
    [entry] = await written(office, old.id)
    assert (entry.verb, entry.after["overlap_seconds"]) == ("key.rotate", 48 * 3600)
    again = await superuser.browser.act("rotate-key", **values)
    assert (again.status_code, "was rotated before" in again.text) == (409, True)


async def test_a_revoked_key_is_told_by_mail_webhook_and_audit(office, superuser):
    person = await _listening(office)
    key = (await _key(office, person.organization, "prod")).record
    form = await superuser.browser.look("revoke-key", key=str(key.id))
    done = await superuser.browser.act("revoke-key", "seen on a forum", key=key.prefix)
    assert done.status_code == 200, done.text
    assert await _state(office, key.id) == "revoked"
    assert (await _event_types(office, person.organization))[-1] == ("key.revoked", "Revoked by the operator")
    [(template, values)] = await mails_to(office, person.email)
    assert (template, values["count"], key.prefix in values["keys"]) == ("keys_revoked", "1", True)
    [entry] = await written(office, key.id, "key.revoke")
    assert (entry.before, entry.reason) == ({"revoked": False}, "seen on a forum")
    late = await superuser.browser.post("/actions/revoke-key", {**form, "reason": "again"})
    assert (late.status_code, "was revoked on" in late.text) == (409, True)


@pytest.mark.parametrize(
    ("text", "status", "sentence"),
    [
        ("0d5b2f7e-3d52-4a0e-9c9c-1a5f6b0f4a11", 404, "There is no such API key."),
        ("pe_live_zzzzzzzzzz", 404, "There is no such API key."),
        ("pe_live_", 422, "at least 12 characters"),
    ],
)
async def test_a_key_that_is_none_is_told(office, superuser, text, status, sentence):
    answer = await superuser.browser.act("revoke-key", key=text)
    assert (answer.status_code, sentence in answer.text) == (status, True)


async def test_a_whole_key_in_a_wrong_field_does_not_come_back(office, superuser):
    made = await _key(office, await office.organization())
    for answer in (
        await superuser.browser.act("revoke-key", key=made.plaintext),
        await superuser.browser.act("suspend-organization", organization=made.plaintext),
        await superuser.browser.act("suspend-organization", made.plaintext, organization="no-such"),
        await superuser.browser.get(f"/actions/revoke-key?key={made.plaintext}"),
    ):
        assert made.plaintext not in answer.text


async def test_all_keys_of_an_organization_go_at_once_and_no_other(office, superuser):
    person, other = await office.person(), await office.organization()
    theirs = [(await _key(office, person.organization, f"key {number}")).record for number in range(12)]
    kept = (await _key(office, other)).record
    values = {"organization": person.organization.slug}
    seen = await superuser.browser.preview("revoke-keys", **values)
    assert f"All 12 keys of {person.organization.name} are stopped for ever." in seen.text
    form = await superuser.browser.look("revoke-keys", **values)
    await _key(office, person.organization, "made meanwhile")
    late = await superuser.browser.post("/actions/revoke-keys", {**form, "reason": "old form"})
    assert (late.status_code, "has changed since you looked" in late.text) == (409, True)
    assert await _state(office, theirs[0].id) == "active"
    done = await superuser.browser.act("revoke-keys", "fraud", **values)
    assert "13 keys of" in done.text
    assert {await _state(office, key.id) for key in theirs} == {"revoked"}
    assert await _state(office, kept.id) == "active"
    [(_, mail)] = await mails_to(office, person.email)
    assert (mail["count"], mail["keys"].endswith("and 3 more")) == ("13", True)
    assert len(await written(office, theirs[5].id, "key.revoke")) == 1
    assert (await superuser.browser.act("revoke-keys", **values)).status_code == 409


async def _leak(office):
    """Keys of two organizations and a text that holds them, in several guises."""
    person, other = await office.person(), await office.person()
    plain = [await _key(office, person.organization, "one"), await _key(office, other.organization, "two")]
    revoked = await _key(office, other.organization, "old")
    await keys.revoke(office.pool, revoked.record.id, organization_id=None)
    imported_text = f"legacy_{uuid4().hex}"
    imported = await keys.import_sha256(
        office.pool,
        organization_id=person.organization.id,
        name="imported",
        sha256_hex=keys.sha256_digest(imported_text.encode()).hex(),
        prefix="legacy",
    )
    stranger, mistyped = mint("live").plaintext, plain[0].plaintext[:-1] + "!"
    text = "\n".join(
        [
            f"API_KEY={plain[0].plaintext}",
            "",
            f'curl -H "X-API-Key: {plain[1].plaintext}" https://api.example.com  # and {plain[0].plaintext},',
            revoked.plaintext,
            f"token: {imported_text};",
            stranger,
            mistyped,
            "nothing here",
        ]
    )
    secrets = [plain[0].plaintext, plain[1].plaintext, revoked.plaintext, imported_text, stranger]
    return person, other, [plain[0].record, plain[1].record, imported], revoked.record, text, secrets


async def test_keys_in_a_leaked_text_are_found_and_revoked_line_by_line(office, superuser):
    person, other, living, _, text, secrets = await _leak(office)
    seen = await superuser.browser.preview("revoke-leaked-keys", text=text)
    assert seen.status_code == 200, seen.text
    assert "3 keys of 2 organizations" in seen.text
    assert "3 lines hold no key of ours." in seen.text
    done = await superuser.browser.act("revoke-leaked-keys", "report of a scanner", text=text)
    assert done.status_code == 200, done.text
    for line in ("Line 1: revoked", "Line 3: revoked", "Line 4: already revoked", "Line 5: revoked"):
        assert line in done.text
    for line in (6, 7, 8):
        assert f"Line {line}: unknown" in done.text
    assert "Line 2:" not in done.text, "a blank line is none"
    assert {await _state(office, key.id) for key in living} == {"revoked"}
    [first] = await mails_to(office, person.email)
    assert (first[1]["count"], "others can read them" in first[1]["why"]) == ("2", True)
    assert len(await mails_to(office, other.email)) == 1
    for key in living:
        [entry] = await written(office, key.id, "key.revoke")
        assert (entry.after["revoked_reason"], entry.reason) == (
            "Found where others can read it",
            "report of a scanner",
        )
    for secret in secrets:
        assert secret not in seen.text + done.text
        for column in ("audit_entry::text", "webhook_event::text", "api_reply::text", "api_key::text"):
            table = column.partition(":")[0]
            found = await office.pool.fetchval(f"select count(*) from {table} where strpos({column}, $1) > 0", secret)
            assert found == 0, column


async def test_a_mistake_with_a_leaked_text_does_not_show_it_again(office, superuser):
    _, _, living, _revoked, text, secrets = await _leak(office)
    many = await superuser.browser.post("/actions/revoke-leaked-keys/preview", {"text": "\n".join([text] * 80)})
    nothing = await superuser.browser.post("/actions/revoke-leaked-keys/preview", {"text": secrets[-1]})
    twice = await superuser.browser.post("/actions/revoke-leaked-keys", {"text": text, "reason": ""})
    direct = await superuser.browser.get("/actions/revoke-leaked-keys", params={"text": text})
    assert (many.status_code, "at most 500" in many.text) == (422, True)
    assert (nothing.status_code, "no key of ours" in nothing.text) == (409, True)
    assert twice.status_code == 422
    empty = await superuser.browser.post("/actions/revoke-leaked-keys/preview", {"text": " "})
    assert (empty.status_code, "Paste" in empty.text) == (422, True)
    for answer in (many, nothing, twice, direct):
        assert not [secret for secret in secrets if secret in answer.text]
    assert {await _state(office, key.id) for key in living} == {"active"}


async def test_a_leaked_key_that_is_revoked_meanwhile_is_seen(office, superuser):
    _, _, living, _, text, _ = await _leak(office)
    form = await superuser.browser.look("revoke-leaked-keys", text=text)
    assert set(form) == {"once", "seen", "found"}
    await superuser.browser.act("revoke-key", key=str(living[0].id))
    late = await superuser.browser.post("/actions/revoke-leaked-keys", {**form, "reason": "leak"})
    assert (late.status_code, "has changed since you looked" in late.text) == (409, True)
    assert await _state(office, living[1].id) == "active"


async def test_two_at_once_revoke_a_leaked_key_once(office, superuser):
    _, _, living, _, text, _ = await _leak(office)
    forms = [await superuser.browser.look("revoke-leaked-keys", text=text) for _ in range(3)]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/revoke-leaked-keys", {**form, "reason": "leak"}) for form in forms)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    for key in living:
        assert len(await written(office, key.id, "key.revoke")) == 1
