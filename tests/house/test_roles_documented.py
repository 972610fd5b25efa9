"""docs/back-office.md says what each role of an operator may do, as `domain.operators` has it.

To write the table anew: `python -m tests.house.test_roles_documented`.
"""

from pathlib import Path

from domain.operators import OPERATOR_ROLES, RIGHTS_IN_WORDS, Right

PAGE = Path(__file__).resolve().parents[2] / "docs/back-office.md"
BEGIN = "<!-- roles: written by python -m tests.house.test_roles_documented -->\n"
END = "<!-- end of roles -->\n"


def table() -> str:
    """The table, one right a line."""
    roles = list(OPERATOR_ROLES)
    lines = [f"| may | {' | '.join(roles)} |", "|---|" + "---|" * len(roles)]
    for right, words in RIGHTS_IN_WORDS.items():
        cells = ("yes" if right in OPERATOR_ROLES[role] else "" for role in roles)
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_every_right_has_words():
    assert set(RIGHTS_IN_WORDS) == set(Right)


def test_the_page_says_what_each_role_may_do():
    written = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert written == table(), "write it anew: python -m tests.house.test_roles_documented"


if __name__ == "__main__":
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(head + BEGIN + table() + END + rest.partition(END)[2])
