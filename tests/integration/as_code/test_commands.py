"""`paid-endpoint export` and `apply` as operators and scripts run them."""

import json
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from tests.conftest import database_of
from tests.databases import PEPPERS


@pytest.fixture
async def run(lived_in, server_urls, worker_number):
    """Runs a command in this process, on this test's database."""
    environment = {"DATABASE_URL": database_of(server_urls[0], f"as_code_{worker_number}"), "KEY_PEPPERS": PEPPERS}

    def invoke(*arguments, status=0, stdin=None):
        with ThreadPoolExecutor(1) as own:
            done = own.submit(CliRunner().invoke, app, arguments, input=stdin, env=environment).result()
        assert done.exit_code == status, done.output
        return done

    return invoke


async def test_export_piped_into_a_dry_run_says_no_difference(run):
    text = run("export").stdout
    assert text.startswith("# Plans, services, operations and operators of paid-endpoint.")
    assert run("apply", "-", "--dry-run", stdin=text).stdout == "No difference: 17 unchanged.\n"


async def test_a_file_is_tried_applied_listed_and_taken_back(run, tmp_path):
    file = tmp_path / "business.yaml"
    file.write_text(run("export").stdout.replace("price_cents: 4900", "price_cents: 5900"))
    tried = run("apply", str(file), "--dry-run").stdout
    assert tried.splitlines() == [
        "~ plan pro",
        "    price_cents: 4900 -> 5900",
        "Would be: 1 changed; 16 unchanged. Nothing was changed.",
    ]
    assert "Done: 1 changed; 16 unchanged. Kept as " in run("apply", str(file)).stdout
    assert run("apply", str(file)).stdout == "No difference: 17 unchanged.\n"
    applied, found = json.loads(run("apply", "--history", "--json").stdout)
    assert (applied["kind"], applied["changes"], found["kind"]) == ("apply", 1, "found")
    assert "price_cents: 5900 -> 4900" in run("apply", "--rollback", found["id"], "--dry-run").stdout
    back = json.loads(run("apply", "--rollback", found["id"], "--json").stdout)
    assert back["differences"]["changes"][0]["fields"] == [{"field": "price_cents", "before": "5900", "after": "4900"}]
    assert "rollback" in run("apply", "--history").stdout


async def test_mistakes_end_with_status_2_and_their_places(run, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("plans:\n  pro: {prise_cents: 1}\n  fre: {overage: x}\n")
    done = run("apply", str(file), status=2)
    assert done.stderr.splitlines() == [
        f"{file}:2:9: A plan has no prise_cents. Did you mean price_cents?",
        f"{file}:3:18: overage is block or credits.",
        "2 mistakes; nothing was changed.",
    ]
    rows = json.loads(run("apply", str(file), "--json", status=2).stdout)["errors"]
    assert rows[0] == {"line": 2, "column": 9, "text": "A plan has no prise_cents. Did you mean price_cents?"}


async def test_what_cannot_be_read_is_refused(run, tmp_path):
    (tmp_path / "latin").write_bytes(b"plans: \xff")
    (tmp_path / "large").write_bytes(b"#" * (5 * 1024 * 1024 + 1))
    assert "cannot be read" in run("apply", str(tmp_path / "none"), status=2).stderr
    assert "is not UTF-8: byte 7" in run("apply", str(tmp_path / "latin"), status=2).stderr
    assert "is larger than" in run("apply", str(tmp_path / "large"), status=2).stderr
    assert "Give one of" in run("apply", status=2).stderr
    assert "Give one of" in run("apply", "-", "--history", status=2).stderr
    unknown = "00000000-0000-0000-0000-000000000000"
    assert "Nothing was applied under the id" in run("apply", "--rollback", unknown, status=1).stderr


async def test_the_schema_for_editors_knows_every_field(run):
    schema = json.loads(run("export", "--schema").stdout)
    plan = schema["properties"]["plans"]["patternProperties"]["^[a-z0-9][a-z0-9-]{0,62}$"]
    assert plan["additionalProperties"] is False
    assert {"limits", "quotas", "shadow_limits", "prices", "overage", "trial_calls"} <= plan["properties"].keys()
    assert plan["properties"]["overage"]["enum"] == ["block", "credits"]
    assert all(field["description"] for field in plan["properties"].values())


async def test_what_is_exported_is_valid_by_the_schema_and_a_typo_is_not(run):
    checker = jsonschema.Draft202012Validator(json.loads(run("export", "--schema").stdout))
    exported = yaml.safe_load(run("export").stdout)
    assert list(checker.iter_errors(exported)) == []
    exported["plans"]["odd"]["nmae"] = "x"
    exported["services"]["odd"]["operations"]["GET"] = {}
    assert len(list(checker.iter_errors(exported))) == 2


async def test_a_spec_is_imported_by_the_command_line(run, tmp_path):
    spec = {"openapi": "3.1.0", "info": {"title": "T"}, "paths": {"/a": {"get": {}}, "/{x}.csv": {"get": {}}}}
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(spec))
    arguments = ("services", "import", "t", "--spec", str(file), "--upstream", "http://127.0.0.1:9", "--credits", "0.2")
    tried = run(*arguments, "--dry-run")
    assert "+ operation t GET /a\n    price: 0.2\n" in tried.stdout
    assert tried.stderr == "Note: /{x}.csv: /{x} matches more than that.\n"
    assert "Done: 3 created; 0 unchanged." in run(*arguments).stdout
    assert run(*arguments).stdout == "No difference: 3 unchanged.\n"
    spec["paths"].pop("/a")
    file.write_text(json.dumps(spec))
    assert "Not in the spec, left as they are: operation t GET /a." in run(*arguments).stdout
