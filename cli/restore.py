"""`paid-endpoint restore`: a backup into an empty database, whole or not at all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.actors import OPERATOR
from cli.connecting import settings_or_fail, with_connection
from cli.output import JsonOption, fail, note, print_json
from domain.backups.archive import StoredBackup, stored_backup
from domain.backups.loading import check_fits, load
from domain.credits.reconciling import Reconciliation, reconcile
from domain.credits.releasing import list_holders, release_holders
from domain.faults import Fault
from domain.log_store.outbox import standing
from domain.settings import Settings

app = typer.Typer(add_completion=False)

_OTHERS = stat.S_IRGRP | stat.S_IROTH


@app.command(epilog="Example: DATABASE_URL=postgresql://app@db/new paid-endpoint restore backup.zip")
def main(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="What `backup` wrote.")],
    check: Annotated[
        bool, typer.Option("--check", help="Only read all of it, and see whether it fits; no database is needed.")
    ] = False,
    journals_lost: Annotated[
        bool,
        typer.Option("--journals-lost", help="The gateways' disks are gone: what their workers held is free at once."),
    ] = False,
    secrets_to: Annotated[
        Path | None, typer.Option(help="Only write the secrets that it holds to this new file, mode 600.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Restore into an empty database. Refuses any other, a damaged file, another version, other secrets."""
    with _opened(file) as backup:
        if secrets_to is not None:
            _write_secrets(backup, secrets_to)
            return
        backup.verify()
        check_fits(backup.manifest, settings_or_fail())
        if check:
            typer.echo(f"{file} is whole and fits: {backup.manifest.rows} rows of {backup.manifest.made_at}.")
            return

        async def work(connection: Any, settings: Settings) -> tuple[dict[str, Any], Reconciliation]:
            dsn = settings.database.url.get_secret_value()
            restored = await load(connection, dsn, backup, OPERATOR, name=file.name)
            if journals_lost:
                await release_holders(connection, [holder.id for holder in await list_holders(connection)])
            elsewhere = await standing(connection) is not None
            return {**asdict(restored), "logs_elsewhere": elsewhere}, await reconcile(connection)

        restored, ledger = with_connection(work)
    _report(restored, ledger, journals_lost=journals_lost, as_json=as_json)


@contextmanager
def _opened(file: Path) -> Iterator[StoredBackup]:
    try:
        if file.stat().st_mode & _OTHERS:
            note(f"{file} can be read by others, and holds what keys and passwords are checked against: chmod 600 it.")
        with stored_backup(file) as backup:
            yield backup
    except Fault as fault:
        fail(str(fault))
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")


def _write_secrets(backup: StoredBackup, path: Path) -> None:
    text = backup.secrets()
    if not text:
        fail("The backup holds no secrets: it was made without --with-secrets.")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    typer.echo(f"{path}: as lines for `.env` or an environment file.")


def _report(restored: dict[str, Any], ledger: Reconciliation, *, journals_lost: bool, as_json: bool) -> None:
    if as_json:
        print_json({**restored, "drifts": [asdict(drift) for drift in ledger.drifts]})
    else:
        typer.echo(
            f"Restored what there was at {restored['made_at']}: {restored['rows']} rows of {restored['tables']} tables,"
            " counted again and equal."
        )
    if restored["left_out"]:
        note(f"Left out, because no migration makes them: {', '.join(restored['left_out'])}.")
    if restored["open_holders"] and not journals_lost:
        note(
            f"{restored['open_holders']} gateway workers held credits then. Start their nodes with the journals that they"
            " have; then `credits holders` and `credits release` for those that never come back."
        )
    if restored["logs_elsewhere"]:
        note(
            "Older request logs are in ClickHouse, and this installation will make it forget what was stored since. A copy"
            " beside one that goes on, as for a rehearsal, needs a LOG_STORE_URL of its own: it would delete the other's logs."
        )
    note("Whatever was changed since then is as it was: also keys that were revoked. Restart every process.")
    if ledger.drifts:
        fail(f"The ledger does not add up in {len(ledger.drifts)} places: run `paid-endpoint credits reconcile`.")
