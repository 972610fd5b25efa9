"""`paid-endpoint logs`: what was requested, and what came of it."""

import json
import re
import sys
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.connecting import run_or_fail, settings_or_fail, with_connection
from cli.durations import parse_duration
from cli.output import PIPE_WIDTH, JsonOption, as_data, fail, print_json
from domain.databases import open_pool
from domain.decision_reading import Explanation, explain
from domain.log_reading import LogEntry, LogFilter, follow
from domain.log_store.store import open_logs
from domain.organizations import fetch_organization
from domain.services import fetch_service
from domain.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List, follow and explain request logs.")

Organization = Annotated[str | None, typer.Option(help="Only of this organization (slug).")]
Key = Annotated[UUID | None, typer.Option(help="Only of the key with this id.")]
Service = Annotated[str | None, typer.Option(help="Only of this service (slug).")]
Status = Annotated[str | None, typer.Option(help="Only with this status: 429, or 4xx for a class.")]


@app.command("list", epilog="Example: paid-endpoint logs list --organization acme --status 4xx --since 5m")
def list_(
    organization: Organization = None,
    key: Key = None,
    service: Service = None,
    status: Status = None,
    request_id: Annotated[UUID | None, typer.Option(help="Only the request with this X-Request-Id.")] = None,
    since: Annotated[str | None, typer.Option(help="Only of the last 90s, 5m, 2h or 1d; default: 3d.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List requests: JSON newest first, lines newest last, as they came."""
    lowest, highest = _statuses(status)
    age = parse_duration(since) if since else None

    async def work(connection: Any, settings: Settings) -> list[LogEntry]:
        begin = await connection.fetchval("select now()") - age if age else None
        owner, upstream = await _ids(connection, organization, service)
        wanted = LogFilter(owner, key, upstream, request_id, lowest, highest, begin)
        async with open_logs(settings) as logs:
            return await logs.newest(connection, wanted, limit)

    entries = with_connection(work)
    if as_json:
        print_json(entries)
        return
    show = _Lines()
    for entry in reversed(entries):
        show.entry(entry)
    if not entries:
        typer.echo("None.")


@app.command(epilog="Example: paid-endpoint logs tail --status 5xx")
def tail(
    organization: Organization = None,
    key: Key = None,
    service: Service = None,
    status: Status = None,
    as_json: JsonOption = False,
) -> None:
    """Follow requests as they end, within two seconds, until Ctrl-C. With --json: one object a line."""
    lowest, highest = _statuses(status)
    settings = settings_or_fail()

    async def work() -> None:
        async with await open_pool(settings.database, "paid-endpoint logs tail") as pool:
            owner, upstream = await _ids(pool, organization, service)
            show = None if as_json else _Lines()
            async for entry in follow(pool, LogFilter(owner, key, upstream, None, lowest, highest)):
                if show is None:
                    print(json.dumps(as_data(entry), ensure_ascii=False), flush=True)
                else:
                    show.entry(entry)

    try:
        run_or_fail(work())
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command("explain", epilog="Example: paid-endpoint logs explain 0199d3a0-7c1e-7b3a-8f64-0e2b1c9d4a55")
def explain_(
    request_id: Annotated[UUID, typer.Argument(metavar="ID", help="What X-Request-Id said.")],
    as_json: JsonOption = False,
) -> None:
    """Say why a request was admitted or refused: each step, the numbers of that moment, the lease it spent from."""

    async def work(connection: Any, settings: Settings) -> Explanation | None:
        async with open_logs(settings) as logs:
            return await explain(connection, request_id, logs)

    explanation = with_connection(work)
    if explanation is None:
        fail(
            f"No request {request_id} is in the log. Rows are kept for LOG_RETENTION_DAYS; what was answered"
            " just now is stored in a moment, or waits on the disk (GET /ready)."
        )
    if as_json:
        print_json(explanation)
        return
    from rich.console import Console

    from cli.explaining import show

    show(explanation, Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False))


class _Lines:
    """Prints entries as lines under one heading."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, soft_wrap=True)
        self._titled = False

    def entry(self, entry: LogEntry) -> None:
        """Print one; the width is asked each time, because terminals change theirs."""
        from cli.log_lines import heading, line

        if not self._titled:
            self._console.print(heading(self._console.width))
            self._titled = True
        self._console.print(line(entry, self._console.width))


def _statuses(text: str | None) -> tuple[int, int]:
    """The lowest and the highest status meant by `429` or `4xx`."""
    if text is None:
        return 0, 999
    if re.fullmatch(r"[1-5][0-9]{2}", text):
        return int(text), int(text)
    if re.fullmatch(r"[1-5][xX]{2}", text):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    raise typer.BadParameter(f"'{text}' is no status: write 429 or 4xx.")


async def _ids(connection: Any, organization: str | None, service: str | None) -> tuple[UUID | None, UUID | None]:
    """Ids of the slugs given. Raises NotFound."""
    owner = (await fetch_organization(connection, organization)).id if organization else None
    upstream = (await fetch_service(connection, service)).id if service else None
    return owner, upstream
