"""`paid-endpoint backup`: everything that PostgreSQL holds, of one moment, in one file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.actors import OPERATOR
from cli.connecting import with_connection
from cli.output import JsonOption, fail, note, print_json
from domain.backups.keeping import NAME, delete_older
from domain.backups.manifest import Manifest
from domain.backups.taking import may_be_noted, take
from domain.settings import Settings

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: paid-endpoint backup /var/backups/")
def main(
    path: Annotated[Path, typer.Argument(help="The file to write, or a directory for a file named by the time.")],
    without_logs: Annotated[
        bool,
        typer.Option("--without-logs", help="Of request logs only today, yesterday, and what is not summed up yet."),
    ] = False,
    with_secrets: Annotated[
        bool,
        typer.Option("--with-secrets", help="KEY_PEPPERS and SECRET_KEYS too: whoever has the file has everything."),
    ] = False,
    keep_days: Annotated[
        int | None,
        typer.Option(
            "--keep-days",
            min=1,
            max=36_500,
            help="Then delete the directory's backups that are older than so many days.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Save the database while everything goes on. Neither Redis nor the journals need to be saved."""
    try:
        in_folder = path.is_dir()
        file = path / f"{datetime.now(UTC):{NAME}}" if in_folder else path
        if not file.parent.is_dir():
            fail(f"{file.parent} is no directory.")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")
    if keep_days is not None and not in_folder:
        fail("--keep-days is for a directory, whose older backups it deletes.")

    async def work(connection: Any, settings: Settings) -> tuple[Manifest, bool]:
        made = await take(connection, settings, file, OPERATOR, logs=not without_logs, secrets=with_secrets)
        return made, await may_be_noted(connection)

    manifest, audited = with_connection(work)
    if not audited:
        note("It does not stand in the audit: this database, or this role, can only be read.")
    # Only now: a backup that was made makes room.
    deleted = [] if keep_days is None else delete_older(path, datetime.now(UTC) - timedelta(days=keep_days))
    if as_json:
        summary = {"file": str(file), "made_at": manifest.made_at, "schema": manifest.version, "rows": manifest.rows}
        held = {"logs": manifest.logs, "secrets": manifest.secrets, "audited": audited}
        print_json({**summary, "deleted": [str(old) for old in deleted], "bytes": file.stat().st_size, **held})
        return
    typer.echo(f"{file}: {len(manifest.tables)} tables, {manifest.rows} rows, {file.stat().st_size / 1e6:.1f} MB.")
    for old in deleted:
        typer.echo(f"Deleted {old}.")
    if with_secrets:
        note("It holds the secrets of this instance: keep it as you keep them.")
    else:
        note("KEY_PEPPERS and SECRET_KEYS are not in it; without them it is of no use. Keep them elsewhere.")
