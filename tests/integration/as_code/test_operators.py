"""Operators in the file: who has which role, by e-mail address, and nothing of how they sign in."""

import json

import pytest

from domain.as_code.applying import apply, export, roll_back
from domain.as_code.appointing import Appointing
from domain.as_code.history import list_applied
from domain.as_code.mistakes import Mistaken
from domain.audit import Actor
from domain.settings import load_settings
from tests.databases import PEPPERS
from tests.portals import SECRETS

ADA, BOB, CLEO = (f"{name}@example.com" for name in ("ada", "bob", "cleo"))


@pytest.fixture
def appointing(monkeypatch):
    monkeypatch.setenv("KEY_PEPPERS", PEPPERS)
    monkeypatch.setenv("SECRET_KEYS", SECRETS)
    return Appointing(load_settings())


@pytest.fixture
async def staffed(empty):
    for email, role in ((ADA, "superuser"), (BOB, "support"), (CLEO, None)):
        await empty.execute(
            "insert into users (username, email, password, active, email_verified_at, operator_role, admin, superuser)"
            " values ($1, $1, 'a-digest', true, now(), $2, $2::text is not null, $2::text is not distinct from 'superuser')",
            email,
            role,
        )
    return empty


def names(**roles):
    """A file that names these."""
    return json.dumps({"operators": {f"{name}@example.com": {"role": role} for name, role in roles.items()}})


async def roles(connection):
    found = await connection.fetch("select email, operator_role from users where operator_role is not null")
    return {row["email"].partition("@")[0]: row["operator_role"] for row in found}


async def test_an_export_names_operators_and_makes_no_difference(staffed, actor, appointing):
    text = await export(staffed)
    assert f'  "{ADA}":\n    role: superuser\n  "{BOB}":\n    role: support\n' in text
    assert CLEO not in text
    assert "a-digest" not in text
    outcome = await apply(staffed, text, actor, dry_run=True, prune=True, appointing=appointing)
    assert (outcome.differences.changes, outcome.differences.unchanged) == ((), 2)


async def test_roles_are_given_changed_and_taken_once_audited_and_told(staffed, actor, appointing):
    text = names(ada="superuser", bob="none", cleo="finance")
    outcome = await apply(staffed, text, actor, reason="new team", appointing=appointing)
    how = {change.id[1]: change.how for change in outcome.differences.changes}
    assert how == {BOB: "disabled", CLEO: "created"}
    assert await roles(staffed) == {"ada": "superuser", "cleo": "finance"}
    written = await staffed.fetch(
        "select verb, reason from audit_entry where verb ~ '^(operator|config)' order by verb"
    )
    assert [row["verb"] for row in written] == ["config.apply", "config.apply", "operator.appoint", "operator.dismiss"]
    assert {row["reason"] for row in written} == {"new team"}
    assert await staffed.fetchval("select count(*) from outbox_message") == 2
    again = await apply(staffed, text, actor, appointing=appointing)
    assert (again.differences.changes, again.applied_id) == ((), None)


async def test_a_dry_run_appoints_and_mails_nobody(staffed, actor, appointing):
    await apply(staffed, names(cleo="admin"), actor, dry_run=True, appointing=appointing)
    assert await roles(staffed) == {"ada": "superuser", "bob": "support"}
    assert await staffed.fetchval("select count(*) from outbox_message") == 0


async def test_prune_dismisses_only_where_the_file_names_operators(staffed, actor, appointing):
    await apply(staffed, "plans: {}", actor, prune=True, appointing=appointing)
    assert await roles(staffed) == {"ada": "superuser", "bob": "support"}
    left = await apply(staffed, names(ada="superuser"), actor, appointing=appointing)
    assert left.differences.left_alone == (("operator", BOB),)
    await apply(staffed, names(ada="superuser"), actor, prune=True, appointing=appointing)
    assert await roles(staffed) == {"ada": "superuser"}


@pytest.mark.parametrize("text", ["operators: {}", names(ada="support"), names(ada="none"), names(bob="admin")])
async def test_the_last_superuser_keeps_the_role(staffed, actor, appointing, text):
    with pytest.raises(Mistaken, match="is the last superuser"):
        await apply(staffed, text, actor, prune=True, appointing=appointing)
    assert await roles(staffed) == {"ada": "superuser", "bob": "support"}


async def test_a_superuser_is_replaced_in_one_file(staffed, actor, appointing):
    await apply(staffed, names(ada="none", cleo="superuser"), actor, appointing=appointing)
    assert await roles(staffed) == {"cleo": "superuser", "bob": "support"}


async def test_nobody_changes_their_own_role(staffed, appointing):
    bob = Actor("operator", await staffed.fetchval("select id from users where email = $1", BOB), BOB)
    with pytest.raises(Mistaken, match="is you"):
        await apply(staffed, names(bob="superuser"), bob, appointing=appointing)
    assert await roles(staffed) == {"ada": "superuser", "bob": "support"}


async def test_who_has_no_account_is_refused_with_the_line_or_invited(staffed, actor, appointing):
    text = 'operators:\n  "cloe@example.com": {role: support}\n'
    with pytest.raises(Mistaken) as refused:
        await apply(staffed, text, actor, appointing=appointing)
    (mistake,) = refused.value.mistakes
    assert str(mistake).startswith("2:3: There is no user cloe@example.com")
    assert str(mistake).endswith(f"Did you mean {CLEO}?")
    await apply(staffed, text, actor, appointing=Appointing(appointing.settings, invite=True))
    waits = await staffed.fetchrow("select active, operator_role from users where email = 'cloe@example.com'")
    assert tuple(waits) == (False, "support")
    assert await staffed.fetchval("select count(*) from outbox_message") == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('operators: {"x@example.com": {role: suport}}', "Did you mean support?"),
        ('operators: {"x@example.com": {rolle: support}}', "An operator has no rolle. Did you mean role?"),
        ('operators: {"x@example.com": {}}', "needs role"),
        ('operators: {"x": {role: support}}', "1:13: "),
        ('operators: {"x@example.com": {role: admin}, "X@example.com": {role: admin}}', "stands here twice"),
        ("operater: {}", "Did you mean operators?"),
    ],
)
async def test_typos_are_named_with_their_place(staffed, actor, appointing, text, told):
    with pytest.raises(Mistaken) as refused:
        await apply(staffed, text, actor, appointing=appointing)
    assert told in str(refused.value)
    assert str(refused.value).startswith("1:")


async def test_going_back_takes_roles_back_for_who_may_say_so(staffed, actor, appointing):
    await apply(staffed, names(bob="none"), actor, appointing=appointing)
    found = (await list_applied(staffed))[-1]
    assert not (await roll_back(staffed, found.id, actor)).differences.changes
    assert await roles(staffed) == {"ada": "superuser"}
    await roll_back(staffed, found.id, actor, appointing=appointing)
    assert await roles(staffed) == {"ada": "superuser", "bob": "support"}
