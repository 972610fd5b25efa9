"""A request log entry as one line for people, as wide as the terminal."""

from rich.text import Text

from domain.log_reading import LogEntry

_COLOURS = {2: "green", 3: "cyan", 4: "yellow", 5: "red"}
_DATE_FROM_WIDTH = 100
_ID_FROM_WIDTH = 140
_SHORTEST_PATH = 12


def heading(width: int) -> Text:
    """The titles of the columns."""
    moment = f"{'UTC':<18}" if width >= _DATE_FROM_WIDTH else f"{'UTC':<8}"
    request = f"{'REQUEST':<36} " if width >= _ID_FROM_WIDTH else ""
    organization = f"{'ORGANIZATION':<{_organization_width(width)}}"
    return Text(f"{request}{moment} {'ST':>3} {'METHOD':<7} {'TIME':>8}  {organization} PATH", style="bold")


def line(entry: LogEntry, width: int) -> Text:
    """The line, at most `width` columns: what does not fit is cut from the path, marked by an ellipsis."""
    text = Text(no_wrap=True)
    if width >= _ID_FROM_WIDTH:
        text.append(f"{entry.id} ", style="dim")
    text.append(f"{_moment(entry, width)} ", style="dim")
    text.append(f"{entry.status:>3} ", style=_COLOURS.get(entry.status // 100, "magenta"))
    text.append(f"{_fitted(entry.method, 7)} {_duration(entry.total_us):>8}  ")
    text.append(f"{_fitted(entry.organization or '-', _organization_width(width))} ", style="blue")
    note = _note(entry)
    room = max(_SHORTEST_PATH, width - text.cell_len - (len(note) + 1 if note else 0))
    target = f"{entry.path}?{entry.query}" if entry.query else entry.path
    text.append(_cut(_printable(target), room))
    if note:
        text.append(f" {note}", style="yellow" if entry.outcome == "refused" else "red")
    text.truncate(width)
    return text


def _note(entry: LogEntry) -> str:
    """Why it was not simply served."""
    if entry.refusal:
        return f"{entry.refusal} ({entry.limit_name})" if entry.limit_name else entry.refusal
    return "" if entry.outcome == "served" else entry.outcome


def _moment(entry: LogEntry, width: int) -> str:
    if width < _DATE_FROM_WIDTH:
        return f"{entry.at:%H:%M:%S}"
    return f"{entry.at:%m-%d %H:%M:%S}.{entry.at.microsecond // 1000:03d}"


def _organization_width(width: int) -> int:
    return 12 if width < 100 else 20


def _duration(microseconds: int) -> str:
    if microseconds < 1_000:
        return f"{microseconds} us"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.1f} ms"
    return f"{microseconds / 1_000_000:.1f} s"


def _fitted(text: str, width: int) -> str:
    return f"{_cut(_printable(text), width):<{width}}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _printable(text: str) -> str:
    """Without control characters: a path of a caller must not steer an operator's terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
