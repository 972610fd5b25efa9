"""Alerts and dashboard: forms, and a section of the runbook for each alert. Metrics' names: tests/integration/deploy."""

import json
import re
import shutil
import subprocess

import pytest

from tests.compose import strictly
from tests.deploy import DEPLOY, ROOT

(RULES,) = strictly((DEPLOY / "prometheus/alerts.yml").read_text())
ALERTS = RULES["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
HEADINGS = {
    re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
    for line in (ROOT / "docs/runbook.md").read_text().splitlines()
    if line.startswith("#")
}
VARIABLES = {"$instance", "$service", "$__rate_interval", "$source"}


def balanced(expression):
    depth, closing = [], {")": "(", "}": "{", "]": "["}
    for letter in re.sub(r'"[^"]*"', '""', expression):
        if letter in "({[":
            depth.append(letter)
        elif letter in closing and (not depth or depth.pop() != closing[letter]):
            return False
    return not depth


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_how_grave_it_is_and_what_to_do(alert):
    assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert re.fullmatch(r"\d+[mh]", alert["for"])
    assert balanced(alert["expr"])
    page, _, section = alert["annotations"]["runbook"].partition("#")
    assert page == "docs/runbook.md"
    assert section in HEADINGS


def test_alerts_have_names_of_their_own():
    names = [alert["alert"] for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert [group["name"] for group in RULES["groups"]] == ["paid-endpoint"]


def test_panels_have_their_places_and_variables_that_exist():
    taken = set()
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["targets"]
        for target in panel["targets"]:
            assert balanced(target["expr"]), target["expr"]
            assert set(re.findall(r"\$\w+", target["expr"])) <= VARIABLES
    defined = {f"${variable['name']}" for variable in DASHBOARD["templating"]["list"]}
    assert defined == VARIABLES - {"$__rate_interval"}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not here")
def test_prometheus_takes_them():
    said = subprocess.run(
        ["promtool", "check", "rules", str(DEPLOY / "prometheus/alerts.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert f"{len(ALERTS)} rules found" in said.stdout
