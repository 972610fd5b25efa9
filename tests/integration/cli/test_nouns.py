"""The command forms that scripts rely on, run as a user runs them."""

import json
import os
import secrets
import subprocess
import sys
from uuid import uuid4

import pytest

from domain.key_format import crc_ok
from domain.migrating import ROOT
from tests.databases import PEPPERS


@pytest.fixture(scope="module")
def command(database_url, tmp_path_factory):
    # Away from the repository, so that no instance of a developer is met.
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    environment = {**os.environ, "DATABASE_URL": database_url, "KEY_PEPPERS": PEPPERS, "PYTHONPATH": str(ROOT)}

    def run(*arguments, **more):
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=elsewhere,
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def data(command):
    def run(*arguments):
        done = command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_from_a_plan_to_a_revoked_key(data, command):
    tag = secrets.token_hex(4)
    plan = data("plans", "create", f"p-{tag}", "--limit", "1000/hour", "--limit", "10000/day", "--shadow", "5/second")
    assert [(limit["name"], limit["shadow"]) for limit in plan["limits"]] == (
        [("second", True), ("hour", False), ("day", False)]
    )
    organization = data("organizations", "create", "--name", f"Org {tag}", "--plan", plan["slug"])
    assert organization["slug"] == f"org-{tag}"
    service = data(
        *("services", "create", f"s-{tag}", "--prefix", f"/s-{tag}"),
        *("--upstream", "http://127.0.0.1:8000", "--upstream", "http://127.0.0.1:8001"),
    )
    assert len(service["upstreams"]) == 2
    operation = data(
        *("operations", "create", service["slug"], "--method", "GET", "--path", "/a/{b}", "--name", "ab"),
        *("--credits", "0.1", "--reserved"),
    )
    assert (operation["price_micro"], operation["credits"], operation["reserved"]) == (100_000, "0.1", True)
    made = data(
        *("keys", "create", "--organization", organization["slug"], "--name", "CI", "--scope", service["slug"]),
        *("--allow-ip", "10.0.0.0/8", "--expires-in", "30d", "--test"),
    )
    assert crc_ok(made["key"].encode())
    assert (made["environment"], made["scopes"], made["allowed_ips"]) == ("test", [service["slug"]], ["10.0.0.0/8"])

    rotated = data("keys", "rotate", made["id"], "--overlap", "24h")
    assert rotated["rotated_from"] == made["id"]
    assert crc_ok(rotated["key"].encode())
    narrowed = data("keys", "restrict", rotated["id"], "--any-scope", "--allow-ip", "::1", "--never-expires")
    assert (narrowed["scopes"], narrowed["allowed_ips"], narrowed["expires_at"]) == ([], ["::1/128"], None)
    assert data("keys", "revoke", made["id"], "--reason", "leaked")["state"] == "revoked"
    listed = command("keys", "list", "--organization", organization["slug"], "--json").stdout
    assert {key["state"] for key in json.loads(listed)} == {"active", "revoked"}
    assert made["key"] not in listed
    assert rotated["key"] not in listed
    table = command("keys", "list", "--organization", organization["slug"]).stdout
    assert made["id"] in table
    assert "Keep the key now" not in table


def test_a_service_has_what_the_catalog_shows(data):
    tag = secrets.token_hex(4)
    service = ("services", "create", f"s-{tag}", "--prefix", f"/s-{tag}", "--upstream", "http://127.0.0.1:8000")
    made = data(*service, "--category", "Data", "--featured", "--beta", "--version", "2")
    assert (made["category"], made["featured"], made["beta"], made["version"]) == ("Data", True, True, "2")
    changed = data("services", "change", f"s-{tag}", "--not-beta", "--category", "")
    assert (changed["category"], changed["featured"], changed["beta"]) == ("", True, False)


def test_limits_are_listed_as_they_are_written(data, command):
    tag = secrets.token_hex(4)
    data("services", "create", f"s-{tag}", "--prefix", f"/s-{tag}", "--upstream", "http://127.0.0.1:8000")
    written = ("--limit", f"9/minute per key on s-{tag}", "--limit", "burst=5 per second", "--limit", "3 concurrent")
    made = data("plans", "create", f"p-{tag}", *written, "--shadow", "1/day", "--quota", "10000/month")
    assert made["limits"][1] == {
        "name": f"minute-key-s-{tag}",
        "amount": 9,
        "period": "minute",
        "scope": "key",
        "shadow": False,
        "service": f"s-{tag}",
        "operation": None,
        "unit": "requests",
    }
    shown = f"burst=5/second, 9/minute per key on s-{tag}, 1/day (shadow), 10000/month (quota), 3 concurrent"
    assert shown in command("plans", "show", f"p-{tag}").stdout
    assert shown in command("plans", "list").stdout
    nowhere = command("plans", "change", f"p-{tag}", "--limit", "1/hour on no-such")
    assert (nowhere.returncode, "There is no service no-such" in nowhere.stderr) == (1, True)


def test_quotas_are_changed_like_limits(data, command):
    slug = f"p-{secrets.token_hex(4)}"
    data("plans", "create", slug, "--limit", "9/hour", "--quota", "10000/month", "--quota", "big=500/day")
    changed = data("plans", "change", slug, "--quota", "20000/month", "--limit", "9/hour")
    assert [(limit["name"], limit["amount"], limit["unit"]) for limit in changed["limits"]] == [
        ("hour", 9, "requests"),
        ("month-quota", 20_000, "quota"),
    ]
    wrong = command("plans", "create", f"{slug}-x", "--quota", "5/hour")
    assert (wrong.returncode, "a quota is of a day or a month" in wrong.stderr) == (2, True)


def test_spend_caps_are_set_and_taken_off(data, command):
    tag = secrets.token_hex(4)
    data("plans", "create", f"p-{tag}", "--limit", "1/hour")
    made = data("organizations", "create", "--name", tag, "--slug", f"o-{tag}", "--plan", f"p-{tag}")
    assert (made["spend_cap_day_micro"], made["spend_cap_month_micro"]) == (None, None)
    capped = data("organizations", "set-cap", f"o-{tag}", "--day", "5.00", "--month", "100")
    assert (capped["spend_cap_day_micro"], capped["spend_cap_month_micro"]) == (5_000_000, 100_000_000)
    capped = data("organizations", "set-cap", f"o-{tag}", "--day", "none")
    assert (capped["spend_cap_day_micro"], capped["spend_cap_month_micro"]) == (None, 100_000_000)

    key = data("keys", "create", "--organization", f"o-{tag}", "--name", "CI", "--spend-cap-day", "0.5")
    assert (key["spend_cap_day_micro"], key["spend_cap_month_micro"]) == (500_000, None)
    key = data("keys", "set-cap", key["id"], "--month", "9")
    assert (key["spend_cap_day_micro"], key["spend_cap_month_micro"]) == (500_000, 9_000_000)
    rotated = data("keys", "rotate", key["id"])
    assert (rotated["spend_cap_day_micro"], rotated["spend_cap_month_micro"]) == (500_000, 9_000_000)

    for arguments, status, sentence in (
        (("organizations", "set-cap", f"o-{tag}"), 2, "Give --day or --month"),
        (("organizations", "set-cap", f"o-{tag}", "--day", "1000000001"), 2, "not over 1000000000"),
        (("organizations", "set-cap", "nobody", "--day", "1"), 1, "no organization nobody"),
        (("keys", "set-cap", str(uuid4()), "--day", "-1"), 2, "no amount of credits"),
        (("keys", "set-cap", str(uuid4()), "--day", "1"), 1, "no API key"),
    ):
        done = command(*arguments)
        assert (done.returncode, sentence in " ".join(done.stderr.split())) == (status, True), done.stderr
    data("keys", "revoke", key["id"])
    late = command("keys", "set-cap", key["id"], "--day", "1")
    assert (late.returncode, "is revoked" in late.stderr) == (1, True)


def test_a_key_is_shown_to_people_with_a_warning(command, data):
    tag = secrets.token_hex(4)
    data("plans", "create", f"p-{tag}", "--limit", "1/hour")
    data("organizations", "create", "--name", tag, "--slug", f"o-{tag}", "--plan", f"p-{tag}")
    done = command("keys", "create", "--organization", f"o-{tag}", "--name", "CI", "--scope", "typo")
    assert done.returncode == 0
    assert "pe_live_" in done.stdout
    assert "not shown again" in done.stderr
    assert "typo" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("keys", "create", "--organization", "nobody", "--name", "x"), 1, "no organization nobody"),
        (("keys", "revoke", "00000000-0000-0000-0000-000000000000"), 1, "no API key"),
        (("plans", "show", "none"), 1, "no plan none"),
        (("plans", "create", "x", "--limit", "many"), 2, "no limit"),
        (("services", "create", "x", "--prefix", "/api", "--upstream", "http://h"), 2, "keeps"),
        (
            ("operations", "create", "x", "--method", "GET", "--path", "/", "--name", "n", "--credits", "1e9"),
            2,
            "credits",
        ),
        (("keys", "create", "--organization", "o", "--name", "x", "--expires-in", "soon"), 2, "duration"),
        (("keys", "revoke", "not-an-id"), 2, "UUID"),
        (("keys", "create"), 2, "--organization"),
        (("seed",), 2, "--upstream"),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr(command, arguments, status, sentence):
    done = command(*arguments, "--json", UPSTREAM_API_URL="")
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_and_its_outcomes(command):
    done = command("migrate", "--json")
    assert (done.returncode, json.loads(done.stdout)["applied"]) == (0, [])
    unreachable = command("migrate", DATABASE_URL="postgresql://postgres@127.0.0.1:1/none")
    assert unreachable.returncode == 1
    assert "cannot be reached" in unreachable.stderr


@pytest.mark.parametrize("noun", ["plans", "organizations", "services", "operations", "keys", "migrate", "seed"])
def test_help_has_an_example(command, noun):
    leaf = () if noun in {"migrate", "seed"} else ("list",)
    done = command(noun, *leaf, "--help")
    assert done.returncode == 0
    assert "Example: " in done.stdout


def test_a_name_that_the_terminal_cannot_show_is_escaped(data, command):
    tag = secrets.token_hex(4)
    data("plans", "create", f"p-{tag}")
    data("organizations", "create", "--name", f"\u6771\u4eac {tag}", "--plan", f"p-{tag}")
    shown = command("organizations", "list", PYTHONIOENCODING="ascii")
    assert shown.returncode == 0, shown.stderr
    assert f"\\u6771\\u4eac {tag}" in shown.stdout


@pytest.mark.parametrize("rank", ["-1", "99999999999"])
def test_a_rank_out_of_bounds_is_named(command, rank):
    refused = command("plans", "create", f"p-{secrets.token_hex(4)}", "--rank", rank)
    assert (refused.returncode, refused.stderr) == (2, "Error: The rank lies between 0 and 1000000.\n")
