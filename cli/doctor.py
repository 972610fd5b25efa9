"""`paid-endpoint doctor`: what is wrong here, and what to do about it."""

import asyncio
import json
import secrets
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from cli.checkup.configuration import check_pepper
from cli.checkup.finding import Finding
from cli.checkup.log_store import check_log_store
from cli.checkup.machine import check_machine
from cli.checkup.production import check_production
from cli.checkup.servers import check_postgres, check_redis
from cli.checkup.state_folder import check_state_folder
from cli.checkup.traces import check_traces
from cli.setting_faults import setting_faults
from domain.settings import Settings, load_settings

app = typer.Typer()

_MARKS = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[bold red]fail[/]"}


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    new_pepper: Annotated[
        bool, typer.Option("--new-pepper", help="Print a fresh pepper for KEY_PEPPERS, and check nothing.")
    ] = False,
) -> None:
    """Check versions, settings, ports, clocks, pepper, state folder, servers and the collector of traces. Exit status 1 if anything fails."""
    if new_pepper:
        print(fresh_pepper())
        return
    findings = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    raise typer.Exit(1 if any(finding.status == "fail" for finding in findings) else 0)


def fresh_pepper() -> str:
    """`version:hex`, one version above those that the settings hold."""
    try:
        known = load_settings().keys.pepper_by_version
    except ValueError:
        known = {}
    return f"{max(known, default=0) + 1}:{secrets.token_hex(32)}"


def examine() -> list[Finding]:
    """All findings. Bad settings end the examination, because the rest needs them."""
    try:
        settings = load_settings()
    except ValueError as error:
        advice = "Correct it; `.env.example` says what each setting takes."
        return [Finding("fail", "settings", setting_faults(error), advice)]
    findings = [Finding("ok", "settings", "valid"), check_pepper(settings), *check_production(settings)]
    findings += check_machine(settings)
    findings += check_state_folder(settings)
    return findings + asyncio.run(_examine_servers(settings))


async def _examine_servers(settings: Settings) -> list[Finding]:
    found = [finding async for finding in check_postgres(settings)]
    found += [finding async for finding in check_redis(settings)]
    found += [finding async for finding in check_log_store(settings)]
    return found + [finding async for finding in check_traces(settings)]


def show(findings: list[Finding]) -> None:
    """One line for each, and one more for what to do."""
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{_MARKS[finding.status]} ", end="")
        console.print(f"{finding.subject:24} {finding.detail}", markup=False)
        if finding.advice:
            console.print(f"     {'':24} -> {finding.advice}", markup=False)
