"""docs/back-office.md lists every action of the back office; pages lead to actions with fields that these have.

To write the list anew: `python -m tests.house.test_actions_documented`.
"""

import re
from pathlib import Path

import pytest

from admin.actions.table import ACTIONS, BY_SLUG, GROUPS
from domain.operators import OPERATOR_ROLES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/back-office.md"
BEGIN = "<!-- actions: written by python -m tests.house.test_actions_documented -->\n"
END = "<!-- end of actions -->\n"
TEMPLATES = sorted((ROOT / "admin/templates").glob("*.html"))
_WRITTEN = re.compile(r'/actions/([a-z-]+)\?((?:[^"\s<>{]|\{\{.*?\}\})*)')
_MACRO = re.compile(r'office\.act\("([a-z-]+)"[^)]*?"([a-z_]+)=" ~')
_VARIABLE = re.compile(r'set q = "([a-z_]+)="')


def listed() -> str:
    """The list, by group."""
    lines = []
    for group in GROUPS:
        actions = [action for action in ACTIONS if action.group == group]
        if actions:
            lines += [f"**{group}**", "", "| action | what it does | who |", "|---|---|---|"]
            lines += [f"| {each.title} | {each.summary} | {', '.join(_able(each.right))} |" for each in actions]
            lines.append("")
    return "\n".join(lines)


def _able(right) -> list[str]:
    return [role.value for role, rights in OPERATOR_ROLES.items() if right in rights]


def test_the_page_lists_every_action_with_who_may_do_it():
    written = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert written == listed(), "write it anew: python -m tests.house.test_actions_documented"


def test_slugs_are_unique_and_every_action_is_in_a_group():
    assert len(BY_SLUG) == len(ACTIONS)
    assert {action.group for action in ACTIONS} <= set(GROUPS)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.slug)
def test_an_action_says_what_it_does_in_sentences_and_has_a_field_for_each_value(action):
    assert action.summary.endswith(".")
    assert {field.name for field in action.fields} == set(action.model.model_fields)
    assert not {"reason", "once", "seen", "csrf"} & set(action.model.model_fields)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_links_to_an_action_name_fields_that_it_has(template):
    text = template.read_text()
    found = [(slug, name) for slug, name in _MACRO.findall(text) if name]
    if variable := _VARIABLE.search(text):
        found += [(slug, variable[1]) for slug in re.findall(r'office\.act\("([a-z-]+)"[^)]*, q\)', text)]
    for slug, query in _WRITTEN.findall(text):
        found += [(slug, name) for name in re.findall(r"(?:^|&amp;)([a-z_]+)=", query)]
    assert [pair for pair in found if pair[1] not in _fields_of(pair[0])] == []
    assert [slug for slug in re.findall(r'office\.act\("([a-z-]+)"', text) if slug not in BY_SLUG] == []


def _fields_of(slug: str) -> set[str]:
    return {field.name for field in BY_SLUG[slug].fields} if slug in BY_SLUG else set()


if __name__ == "__main__":
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(head + BEGIN + listed() + END + rest.partition(END)[2])
