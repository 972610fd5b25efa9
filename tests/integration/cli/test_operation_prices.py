"""`operations create --cost-formula` and `operations price` as scripts and operators run them."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.conftest import in_own_thread
from tests.databases import PEPPERS

FORMULA = "0.01 + 0.002 * query.pages ? 1 + 0.1 * header.x-size ? 0"


@pytest.fixture(scope="module")
def command(database_url):
    """Runs `operations ...` in this process: a new one takes seconds on a busy machine."""

    def run(*arguments, status=0, group="operations"):
        environment = {"DATABASE_URL": database_url, "KEY_PEPPERS": PEPPERS}
        with ThreadPoolExecutor(1) as own:
            done = own.submit(CliRunner().invoke, app, (group, *arguments), env=environment).result()
        assert done.exit_code == status, done.output
        return done

    return run


@pytest.fixture(scope="module")
def data(command):
    def run(*arguments, **options):
        return json.loads(command(*arguments, "--json", **options).stdout)

    return run


@pytest.fixture(scope="module")
def service(data):
    slug = f"s-{secrets.token_hex(4)}"
    return data("create", slug, "--prefix", f"/{slug}", "--upstream", "http://127.0.0.1:8000", group="services")["slug"]


@pytest.fixture
def create(service):
    def arguments(*more, path="/{day}/{hour}"):
        path = f"/{secrets.token_hex(4)}{path}"
        return "create", service, "--method", "GET", "--path", path, "--name", "o", *more

    return arguments


def test_a_formula_is_given_changed_and_taken_away(data, create):
    made = data(*create("--credits", "5", "--cost-formula", f" {FORMULA} "))
    assert (made["credits"], made["cost_formula"]) == ("5", FORMULA)
    assert data("change", made["id"], "--name", "other")["cost_formula"] == FORMULA
    assert data("change", made["id"], "--cost-formula", "0.1 * path.day")["cost_formula"] == "0.1 * path.day"
    assert data("show", made["id"])["cost_formula"] == "0.1 * path.day"
    assert data("change", made["id"], "--cost-formula", "")["cost_formula"] == ""
    assert data(*create("--credits", "5"))["cost_formula"] == ""


@pytest.mark.parametrize(
    ("credits_", "formula", "said"),
    [
        ("5", "0.01 + * 2", "cost_formula, column 8: expected a number, a field"),
        ("5", "0.01 * path.month", "cost_formula, column 13: expected day, hour, found 'm'."),
        ("5", "1 / 3", "cost_formula, column 3: expected '+', '-', '*' or the end, found '/': division is"),
        ("5", "1" * 501, "cost_formula: expected at most 500 characters, found 501."),
        ("0", "0.01", "cost_formula: expected a price with it, which is the most that a request costs."),
    ],
)
def test_one_that_is_none_is_refused_with_its_place(command, data, create, credits_, formula, said):
    assert said in command(*create("--credits", credits_, "--cost-formula", formula), status=2).stderr
    made = data(*create("--credits", "1"))
    changed = command("change", made["id"], "--credits", credits_, "--cost-formula", formula, status=2)
    assert said in changed.stderr
    assert data("show", made["id"]) == made


def test_the_price_of_a_request(data, create):
    made = data(*create("--credits", "5", "--cost-formula", FORMULA))
    found = data("price", made["id"], "--query", "pages=3", "--header", "X-Size=10")
    assert (found["operation_id"], found["plan"], found["cost_formula"]) == (made["id"], None, FORMULA)
    assert (found["price"], found["price_micro"], found["cap"], found["cap_micro"]) == (
        "1.016",
        1_016_000,
        "5",
        5 * 10**6,
    )
    assert found["capped"] == ""
    assert found["fields"] == [
        {"field": "query.pages", "value": 3, "note": "given"},
        {"field": "header.x-size", "value": 10, "note": "given"},
    ]
    found = data("price", made["id"])
    assert (found["price"], [field["note"] for field in found["fields"]]) == ("0.012", ["default", "default"])


def test_what_cannot_be_read_is_named(data, command, create):
    made = data(*create("--credits", "5", "--cost-formula", "0.1 * path.day + 0.001 * bytes + 0.1 * query.pages"))
    found = data("price", made["id"], "--path", "day=x", "--chunked")
    assert (found["price"], found["capped"]) == (
        "5",
        "path.day is not one plain number; bytes is not one plain number; query.pages is missing",
    )
    found = data("price", made["id"], "--path", "day=7", "--bytes", "100", "--query", "x=1", "--query", "pages=1")
    assert (found["price"], found["capped"]) == ("0.9", "")
    table = command("price", made["id"], "--path", "day=7", "--bytes", "100").stdout
    assert "path.day=7 (given), bytes=100 (given), query.pages=? (missing)" in table


def test_a_plans_price_is_the_most(data, create, database_url):
    slug = f"p-{secrets.token_hex(4)}"
    data("create", slug, "--limit", "10/hour", group="plans")
    made = data(*create("--credits", "5", "--cost-formula", FORMULA))

    async def price_on_plan():
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            "insert into plan_price (plan_id, operation_id, price_micro)"
            " select p.id, o.id, 15000 from plan p, operation o where p.slug = $1 and o.id = $2::text::uuid",
            slug,
            made["id"],
        )
        await connection.close()

    in_own_thread(price_on_plan)
    asked = ("price", made["id"], "--plan", slug, "--query")
    assert [data(*asked, f"pages={pages}")["price"] for pages in (1, 3, "x")] == ["0.012", "0.015", "0.015"]
    assert data(*asked, "pages=3")["cap"] == "0.015"


def test_an_operation_without_a_formula_costs_its_price(data, create):
    found = data("price", data(*create("--credits", "0.25"))["id"], "--query", "pages=3")
    assert (found["price"], found["cap"], found["fields"], found["capped"]) == ("0.25", "0.25", [], "")


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (("--plan", "no-such-plan"), 1, "There is no plan no-such-plan."),
        (("--path", "month=1"), 2, "has no parameter month"),
        (("--header", "x-size"), 2, "not of the form name=value"),
        (("--bytes", "-1"), 2, "--bytes"),
    ],
)
def test_what_cannot_be_asked(data, command, create, more, status, said):
    made = data(*create("--credits", "1"))
    assert said in command("price", made["id"], *more, status=status).stderr


def test_the_price_of_no_operation(command):
    nobody = str(uuid4())
    assert f"There is no operation {nobody}." in command("price", nobody, status=1).stderr


def test_the_price_of_what_is_delivered(data, create):
    made = data(*create("--credits", "5", "--cost-formula", "0.01 * answer.events ? 2 + 0.001 * answer.bytes"))
    found = data("price", made["id"])
    assert (found["price"], found["capped"]) == (
        "5",
        "answer.events is not known before the end; answer.bytes is not known before the end",
    )
    found = data("price", made["id"], "--answer-bytes", "100", "--answer-events", "7")
    assert (found["price"], found["capped"]) == ("0.17", "")
    assert [(field["value"], field["note"]) for field in found["fields"]] == [(7, "delivered"), (100, "delivered")]
    found = data("price", made["id"], "--answer-bytes", "100")
    assert (found["price"], [field["note"] for field in found["fields"]]) == ("0.12", ["default", "delivered"])
    data("change", made["id"], "--cost-formula", "0.01 * answer.events")
    found = data("price", made["id"], "--answer-bytes", "100")
    assert (found["price"], found["capped"]) == ("5", "answer.events is not to be counted")
    assert data("price", made["id"], "--answer-bytes", "0")["price"] == "0"


def test_an_operation_that_replays_has_no_price_by_what_is_delivered(command, create):
    refused = command(*create("--credits", "5", "--replays", "--cost-formula", "0.01 * answer.events"), status=2)
    assert "answer.* and replays don't go together" in refused.stderr
