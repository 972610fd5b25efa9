"""`subscriptions`, and what of plans, organizations and operations is about terms, as scripts and operators run them."""

import json
import secrets

import pytest
from typer.testing import CliRunner

from cli.main import COMMANDS, app
from tests.conftest import copy_template, in_own_thread
from tests.databases import PEPPERS


@pytest.fixture(scope="module")
def command(server_urls, worker_number):
    """Run a command in this process; its status must be as said."""
    url = in_own_thread(lambda: copy_template(server_urls[0], f"subscription_commands_{worker_number}"))
    environment = {"DATABASE_URL": url, "KEY_PEPPERS": PEPPERS, "CREDITS_SIGN_UP_BONUS": "2.5"}

    def run(*arguments, status=0):
        done = CliRunner().invoke(app, arguments, env=environment)
        assert done.exit_code == status, done.output
        return done

    return run


@pytest.fixture(scope="module")
def data(command):
    return lambda *arguments: json.loads(command(*arguments, "--json").stdout)


def fresh(stem):
    return f"{stem}-{secrets.token_hex(4)}"


def test_the_life_of_a_subscription(data, command):
    free = data("plans", "create", fresh("free"), "--limit", "100/hour", "--rank", "1")["slug"]
    pro = data(
        *("plans", "create", fresh("pro"), "--limit", "1000/hour", "--rank", "2", "--price-cents", "4900"),
        *("--trial-days", "10", "--trial-calls", "50", "--grace-days", "5", "--overage", "credits"),
    )
    assert (pro["trial_days"], pro["trial_calls"], pro["grace_days"], pro["overage"]) == (10, 50, 5, "credits")
    pro = pro["slug"]
    org = data("organizations", "create", "--name", fresh("Org"), "--plan", free)["slug"]

    email = f"{org}@example.com"
    assert "verified" in command("subscriptions", "start-trial", org, "--plan", pro, status=2).stderr
    trial = data("subscriptions", "start-trial", org, "--plan", pro, "--email", email)
    assert (trial["state"], trial["plan"], trial["next_plan"]) == ("trialing", pro, free)
    assert "trial" in command("subscriptions", "start-trial", org, "--plan", pro, "--email", "x@y.z", status=1).stderr
    longer = data("subscriptions", "extend-trial", org, "--by", "7d")
    assert longer["trial_ends_at"] > trial["trial_ends_at"]
    shown = data("subscriptions", "show", org)
    assert (shown["standing"], shown["access"], shown["next_change"]) == ("trialing", True, "end_trial")
    assert [(limit["name"], limit["amount"]) for limit in shown["limits"]] == [("hour", 1000), ("trial", 50)]

    bought = data("subscriptions", "change", org, "--plan", pro, "--at-once")
    assert (bought["state"], bought["next_plan"]) == ("active", None)
    assert data("subscriptions", "change", org, "--plan", free)["next_plan"] == free
    assert data("subscriptions", "change", org, "--plan", pro)["next_plan"] is None
    assert data("subscriptions", "cancel", org)["cancel_at"] == bought["period_end"]
    assert data("subscriptions", "reactivate", org)["cancel_at"] is None
    assert data("subscriptions", "cancel", org, "--now")["state"] == "cancelled"
    assert data("subscriptions", "show", org)["access"] is False
    assert org not in {row["organization"] for row in data("subscriptions", "list", "--plan", pro)}
    assert org in {row["organization"] for row in data("subscriptions", "list", "--plan", pro, "--ended")}
    assert data("subscriptions", "reactivate", org)["state"] == "active"
    assert "Nothing is due" in command("subscriptions", "roll", org, status=1).stderr
    assert data("subscriptions", "sweep") == []
    assert data("organizations", "change-plan", org, "--plan", free)["plan_slug"] == free
    command("subscriptions", "show", "no-such-organization", status=1)
    command("subscriptions", "extend-trial", org, "--by", "soon", status=2)


def test_terms_are_kept_and_changed(data, command):
    service, plan = fresh("svc"), fresh("plan")
    data("services", "create", service, "--prefix", f"/{service}", "--upstream", "http://127.0.0.1:8000")
    made = data(
        *("operations", "create", service, "--method", "GET", "--path", "/f", "--name", "forecast"),
        *("--credits", "1", "--quota-cost", "3"),
    )
    assert (made["quota_cost"], made["minimum_plan"]) == (3, None)
    sold = data("plans", "create", plan, "--limit", "1000/hour", "--price", f"{service}:forecast=0.05")
    assert [(price["operation"], price["price_micro"]) for price in sold["prices"]] == [("forecast", 50_000)]
    assert data("operations", "change", made["id"], "--minimum-plan", plan)["minimum_plan"] == plan
    assert data("operations", "change", made["id"], "--minimum-plan", "")["minimum_plan"] is None
    assert data("operations", "change", made["id"], "--credits", "0.5", "--from-next-period")["price_micro"] == 500_000

    org = data("organizations", "create", "--name", fresh("Org"), "--plan", plan, "--billing-mode", "quota")
    assert org["billing_mode"] == "quota"
    org = org["slug"]
    assert data("organizations", "change", org, "--billing-mode", "credits")["billing_mode"] == "credits"
    changed = data("plans", "change", plan, "--limit", "10/hour", "--price", f"{service}:forecast=2")
    assert (changed["limits"][0]["amount"], changed["prices"][0]["price_micro"]) == (10, 2_000_000)
    shown = data("subscriptions", "show", org)
    assert (shown["plan_version"], shown["limits"][0]["amount"]) == (1, 1000)
    data("plans", "change", plan, "--limit", "20/hour", "--quota-cost", f"{service}:forecast=7", "--now")
    shown = data("subscriptions", "show", org)
    assert (shown["plan_version"], shown["limits"][0]["amount"]) == (None, 20)
    assert f"{service}:forecast 2 credits and 7 units" in command("plans", "show", plan).stdout
    assert "no price" in command("plans", "change", plan, "--price", "forecast=1", status=2).stderr
    command("plans", "change", plan, "--trial-calls", "5", "--trial-days", "90", status=2)


def test_a_limit_is_overridden_until_a_moment(data, command):
    plan = data("plans", "create", fresh("plan"), "--limit", "1000/hour")["slug"]
    org = data("organizations", "create", "--name", fresh("Org"), "--plan", plan)["slug"]
    made = data(
        *("organizations", "override-limit", org, "hour", "--amount", "5000"),
        *("--until", "2090-12-01", "--reason", "Launch week"),
    )
    assert (made["amount"], made["until"], made["reason"]) == (5000, "2090-12-01T00:00:00+00:00", "Launch week")
    assert data("subscriptions", "show", org)["limits"][0]["amount"] == 5000
    assert data("organizations", "list-overrides", org) == [made]
    assert data("organizations", "drop-override", org, "hour") == []
    assert data("subscriptions", "show", org)["limits"][0]["amount"] == 1000
    assert "no limit day" in command("organizations", "override-limit", org, "day", "--amount", "5", status=1).stderr
    command("organizations", "override-limit", org, "hour", "--amount", "5", "--until", "2020-01-01", status=2)
    command("organizations", "override-limit", org, "hour", status=2)


def test_the_bonus_is_that_of_the_setting_and_given_once(data):
    plan = data("plans", "create", fresh("plan"), "--limit", "1000/hour")["slug"]
    without = data("organizations", "create", "--name", fresh("Org"), "--plan", plan)["slug"]
    org = data("organizations", "create", "--name", fresh("Org"), "--plan", plan, "--bonus")["slug"]
    assert data("credits", "balance", org)["balance"] == "2.5"
    assert data("credits", "balance", without)["balance"] == "0"


def test_the_noun_is_listed(command):
    assert "subscriptions" in COMMANDS
    assert "Example:" in command("subscriptions", "sweep", "--help").stdout
