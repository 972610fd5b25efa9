"""An explanation of one request for people: what came of it, each step's verdict, each limit's numbers."""

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from domain.decision_reading import ExplainedLimit, Explanation

_MARKS = {"passed": "ok", "refused": "REFUSED", "failed": "FAILED", "left": "LEFT", "not-reached": "-"}
_STYLES = {"passed": "green", "refused": "yellow", "failed": "red", "left": "yellow", "not-reached": "dim"}
_LIMIT_VERDICTS = {"room": "room", "exceeded": "USED UP", "exceeded-shadow": "over (shadow)"}


def show(explanation: Explanation, console: Console) -> None:
    """Print it."""
    entry = explanation.request
    target = f"{entry.path}?{entry.query}" if entry.query else entry.path
    console.print(Text(f"{entry.method} {_printable(target)}", style="bold"))
    console.print(Text(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.client or '-'}  request {entry.id}", style="dim"))
    console.print(Text(explanation.summary))
    if not explanation.traced:
        console.print(Text("Its decision was not traced, or by another version of this program."))
        return
    console.print(Group("", _steps(explanation)))
    if explanation.limits:
        console.print(Group("", _limits(explanation.limits)))


def _steps(explanation: Explanation) -> Table:
    table = _table("STEP", "VERDICT", "")
    for step in explanation.steps:
        style = _STYLES[step.verdict]
        table.add_row(step.step, Text(_MARKS[step.verdict], style=style), Text(_printable(step.text)))
    return table


def _limits(limits: list[ExplainedLimit]) -> Table:
    table = _table("LIMIT", "VERDICT", "LEFT", "OF", "RESETS IN", "")
    for limit in limits:
        name = (limit.name or "(deleted)") + (" (shadow)" if limit.shadow else "")
        reset = f"{limit.reset_seconds} s" if limit.reset_seconds else "-"
        numbers = (str(limit.remaining), str(limit.amount), reset)
        table.add_row(name, _LIMIT_VERDICTS[limit.verdict], *numbers, Text(limit.text or ""))
    return table


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _printable(text: str) -> str:
    """Without control characters: a path of a caller must not steer an operator's terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
