"""`paid-endpoint what-if`: what a plan that is not sold yet would have done to the requests of the past days."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
import typer

from cli.apply import read_text
from cli.connecting import with_connection
from cli.output import USAGE, JsonOption, fail, note, print_json, print_rows
from cli.plans import Limits, Overages, Prices, QuotaCosts, Quotas, Shadows
from domain.as_code.yaml_reading import LARGEST_FILE
from domain.credit_amounts import credits_text, parse_credits
from domain.limit_texts import parse_limits
from domain.log_store.store import open_logs
from domain.plan_prices import parse_price, parse_quota_cost
from domain.settings import Settings
from domain.what_if.drafts import Changes, read_draft
from domain.what_if.replaying import Bound, what_if
from domain.what_if.results import Totals, WhatIf
from domain.what_if.scopes import LONGEST_DAYS, Scope
from domain.what_if.texts import credits_range_text, range_text, refused_by_text, what_if_csv

app = typer.Typer()

_SHOWN = ("organization", "asked", "refused_now", "refused_draft", "by", "credits_now", "credits_draft", "difference")

Plan = Annotated[
    str | None,
    typer.Option(help="The plan that the draft begins with; default: the one of the file.", show_default=False),
]
File = Annotated[
    str | None,
    typer.Option("--file", help="Changes as `export` writes them; - reads standard input.", show_default=False),
]
Organizations = Annotated[
    list[str] | None, typer.Option("--organization", help="Only this organization (slug); repeat it.")
]
Days = Annotated[int, typer.Option(min=0, max=LONGEST_DAYS, help="Whole UTC days before today.")]
Included = Annotated[str | None, typer.Option(help="Credits that would be free in each month.", show_default=False)]


@app.command(
    epilog="Example: paid-endpoint what-if --plan starter --limit 500/hour --price weather:forecast=0.2 --days 7"
)
def what_if_(
    plan: Plan = None,
    limit: Limits = None,
    quota: Quotas = None,
    shadow: Shadows = None,
    price: Prices = None,
    quota_cost: QuotaCosts = None,
    price_cents: Annotated[int | None, typer.Option(help="A month's price in hundredths.")] = None,
    overage: Overages = None,
    included_credits: Included = None,
    file: File = None,
    days: Days = 7,
    today: Annotated[bool, typer.Option("--today", help="What there is of today too.")] = False,
    organization: Organizations = None,
    on_plan: Annotated[str | None, typer.Option(help="Organizations on this plan; default: the draft's.")] = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="Organizations on any plan.")] = False,
    most: Annotated[
        int, typer.Option(min=1, max=100_000, help="Organizations that are listed, hardest hit first.")
    ] = 50,
    most_seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so many seconds.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay the past days against a draft of a plan: who would be refused how often, and what credits it would bring.

    The draft is the plan's terms, changed by the file, then by options; limits and quotas, if any is given, replace all.
    Nothing is changed. Without logs (older days), figures are ranges.
    """
    if as_csv and as_json:
        fail("Give one of --csv and --json.", USAGE)
    if plan is None and file is None:
        fail("Give the --plan that the draft begins with, or a --file with one.", USAGE)
    text = read_text(file, LARGEST_FILE) if file is not None else ""

    async def replayed(connection: asyncpg.Connection, settings: Settings) -> WhatIf:
        await connection.execute("set default_transaction_read_only = on")
        given = bool(limit or shadow or quota)
        changes = Changes(
            text=text,
            limits=parse_limits(limit or [], shadow or [], quota or []) if given else None,
            prices=[*map(parse_price, price or ()), *map(parse_quota_cost, quota_cost or ())],
            price_cents=price_cents,
            overage=overage,
            included_micro=parse_credits(included_credits) if included_credits is not None else 0,
        )
        draft = await read_draft(connection, plan, changes)
        scope = Scope(days, None if everybody else on_plan or draft.slug, tuple(organization or ()), today)
        bound = Bound(seconds=most_seconds, impacts=most)
        async with open_logs(settings) as logs:
            return await what_if(connection, draft, scope, logs, now=datetime.now(UTC), bound=bound, progress=_progress)

    found = with_connection(replayed)
    if as_csv:
        sys.stdout.buffer.write(what_if_csv(found))
    elif as_json:
        print_json(_data(found))
    else:
        _print(found)


def _progress(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= whole else ""
        sys.stderr.write(f"\r{done} of {whole} requests replayed{end}")
        sys.stderr.flush()


def _data(found: WhatIf) -> dict[str, Any]:
    names = (
        "draft", "currency", "since", "until", "exact_since", "rows", "cut", "not_replayed", "left_off", "notes",
    )  # fmt: skip
    return {
        **{name: getattr(found, name) for name in names},
        "seconds": round(found.seconds, 3),
        "totals": _with_ranges(found.totals),
        "organizations": [
            {
                **_with_ranges(one),
                "refused_difference": one.refused_difference._asdict(),
                "spent_difference": one.spent_difference._asdict(),
                "limits": [_with_ranges(each) for each in one.limits],
            }
            for one in found.impacts
        ],
    }


def _with_ranges(record: Any) -> dict[str, Any]:
    """Named tuples by the names of their parts."""
    return {name: _named(getattr(record, name)) for name in record.__slots__}


def _named(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _named(part) for name, part in value._asdict().items()}
    return value


def _print(found: WhatIf) -> None:
    rows = [
        {
            "organization": one.slug,
            "asked": range_text(one.asked),
            "refused_now": range_text(one.now.refused),
            "refused_draft": range_text(one.draft.refused),
            "by": refused_by_text(one),
            "credits_now": credits_range_text(one.now.spent),
            "credits_draft": credits_range_text(one.draft.spent),
            "difference": credits_range_text(one.spent_difference, signed=True),
        }
        for one in found.impacts
        if one.asked.most
    ]
    print_rows(rows, _SHOWN, as_json=False)
    for sentence in _sentences(found, found.totals):
        note(sentence)


def _sentences(found: WhatIf, all_: Totals) -> list[str]:
    exact = (
        "exactly"
        if found.exact_since <= found.since
        else f"exactly from {found.exact_since:%Y-%m-%d}, estimated before"
    )
    said = [
        (
            f"{found.since:%Y-%m-%d} to {found.until:%Y-%m-%d %H:%M} UTC, {exact}: {all_.organizations} organizations,"
            f" {range_text(all_.asked)} requests, in {found.seconds:.1f} s."
        ),
        (
            f"Refused: {range_text(all_.now.refused)} now, {range_text(all_.draft.refused)} under the draft"
            f" ({all_.recorded_refused} in fact); {all_.refused_more} organizations more often."
        ),
        (
            f"Credits spent: {credits_range_text(all_.now.spent)} now, {credits_range_text(all_.draft.spent)} under the draft"
            f" ({credits_text(all_.recorded_spent)} in fact); {all_.draft.out_of_credits} organizations run out"
            f" ({all_.now.out_of_credits} now)."
        ),
        (
            f"Prices of a month: {_money(all_.now.monthly_cents)} now, {_money(all_.draft.monthly_cents)} under the draft"
            f" ({found.currency})."
        ),
    ]
    if found.left_off:
        said.append(f"{found.left_off} more organizations are in the totals only.")
    if found.cut:
        said.append(f"{found.cut} {found.not_replayed} organizations were not replayed to their last request.")
    return [*said, *found.notes]


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
