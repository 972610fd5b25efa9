"""`paid-endpoint plans`: what is sold."""

from typing import Annotated, Any

import typer

from cli.changing import UNSAID, Trace, Why, changed, facts, with_change
from cli.connecting import with_connection
from cli.output import JsonOption, as_data, print_record, print_rows
from domain import plans
from domain.audit import Thing, Verb
from domain.credit_amounts import credits_text
from domain.limit_texts import LimitSpec, limit_texts, parse_limits
from domain.plan_prices import PlanPriceRecord, PriceSpec, parse_price, parse_quota_cost
from schema.plans import Overage

app = typer.Typer(no_args_is_help=True, help="Create and list plans with their limits.")

Slug = Annotated[str, typer.Argument(help="The plan's slug.")]
_FORM = "[NAME=]AMOUNT/PERIOD or AMOUNT concurrent, then perhaps: per key, on SERVICE[:OPERATION]"
Limits = Annotated[list[str] | None, typer.Option("--limit", help=f"{_FORM}. Enforced; repeat it.")]
Quotas = Annotated[
    list[str] | None,
    typer.Option("--quota", help="[NAME=]AMOUNT/day or AMOUNT/month in units that operations take; repeat it."),
]
Shadows = Annotated[list[str] | None, typer.Option("--shadow", help="The same, only counted; repeat it.")]
Prices = Annotated[
    list[str] | None,
    typer.Option("--price", help="SERVICE:OPERATION=0.05 credits on this plan; =default as for everybody; repeat it."),
]
QuotaCosts = Annotated[
    list[str] | None, typer.Option("--quota-cost", help="SERVICE:OPERATION=5 units on this plan; the same; repeat it.")
]
Overages = Annotated[Overage | None, typer.Option(help="When quotas are used up: block, or use credits.")]
TrialDays = Annotated[int | None, typer.Option(help="Length of a trial; 0: none.")]
TrialCalls = Annotated[int | None, typer.Option(help="Requests in a trial at the most.")]
GraceDays = Annotated[int | None, typer.Option(help="Days for which an unpaid plan still applies.")]
LogDays = Annotated[
    int | None, typer.Option(min=0, help="Days of request logs; 0: as for everybody, LOG_RETENTION_DAYS.")
]


@app.command(
    epilog="Example: paid-endpoint plans create starter --limit 1000/hour --limit 10000/day --quota 50000/month"
    " --price weather:forecast=0.05 --trial-days 14"
)
def create(
    slug: Slug,
    limit: Limits = None,
    quota: Quotas = None,
    shadow: Shadows = None,
    name: Annotated[str | None, typer.Option(help="As customers see it; default: the slug.")] = None,
    description: Annotated[str, typer.Option(help="For the price list.")] = "",
    price_cents: Annotated[int, typer.Option(help="A month's price in hundredths.")] = 0,
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "USD",
    rank: Annotated[int, typer.Option(help="A higher plan has a greater number.")] = 0,
    hidden: Annotated[bool, typer.Option("--hidden", help="Keep it off the price list.")] = False,
    price: Prices = None,
    quota_cost: QuotaCosts = None,
    overage: Overages = None,
    trial_days: TrialDays = None,
    trial_calls: TrialCalls = None,
    grace_days: GraceDays = None,
    log_days: LogDays = None,
    as_json: JsonOption = False,
) -> None:
    """Make a plan with its limits."""

    async def work(connection: Any, _: object) -> tuple[plans.PlanRecord, Trace]:
        made = await plans.create(
            connection,
            slug=slug,
            limits=parse_limits(limit or [], shadow or [], quota or []),
            name=name,
            description=description,
            public=not hidden,
            price_cents=price_cents,
            currency=currency,
            sort_order=rank,
            prices=_prices(price, quota_cost),
            overage=overage or Overage.BLOCK,
            trial_days=trial_days or 0,
            trial_calls=trial_calls,
            grace_days=3 if grace_days is None else grace_days,
            log_days=log_days or None,
        )
        return made, Trace(Verb.PLAN_CREATE, Thing("plan", made.slug, made.slug), after=facts(made))

    print_record(_readable(with_change(work), as_json=as_json), as_json=as_json)


@app.command(epilog="Example: paid-endpoint plans change starter --limit 2000/hour --limit 20000/day")
def change(
    slug: Slug,
    limit: Limits = None,
    quota: Quotas = None,
    shadow: Shadows = None,
    name: Annotated[str | None, typer.Option(help="As customers see it.")] = None,
    price_cents: Annotated[int | None, typer.Option(help="A month's price in hundredths.")] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Takes new subscriptions.")] = None,
    rank: Annotated[int | None, typer.Option(help="A higher plan has a greater number.")] = None,
    price: Prices = None,
    quota_cost: QuotaCosts = None,
    overage: Overages = None,
    trial_days: TrialDays = None,
    trial_calls: TrialCalls = None,
    grace_days: GraceDays = None,
    log_days: LogDays = None,
    at_once: Annotated[
        bool, typer.Option("--now", help="For everybody at once, also for those who keep older terms of this plan.")
    ] = False,
    reason: Why = UNSAID,
    as_json: JsonOption = False,
) -> None:
    """Change what is given; limits and quotas, if any is given, replace all that the plan has.

    Who is subscribed keeps the former terms until the period ends, unless you say --now.
    """
    given = bool(limit or shadow or quota)

    async def work(connection: Any, _: object) -> tuple[plans.PlanRecord, Trace | None]:
        before = await plans.fetch_plan(connection, slug)
        after = await plans.change(
            connection,
            slug,
            name=name,
            price_cents=price_cents,
            active=active,
            limits=parse_limits(limit or [], shadow or [], quota or []) if given else None,
            sort_order=rank,
            prices=_prices(price, quota_cost),
            overage=overage,
            trial_days=trial_days,
            trial_calls=trial_calls,
            grace_days=grace_days,
            log_days=log_days or None,
            no_log_days=log_days == 0,
            at_once=at_once,
        )
        return after, changed(Verb.PLAN_CHANGE, Thing("plan", slug, slug), before, after, reason=reason)

    print_record(_readable(with_change(work), as_json=as_json), as_json=as_json)


@app.command("list", epilog="Example: paid-endpoint plans list --json")
def list_(as_json: JsonOption = False) -> None:
    """List the plans, lowest first."""
    records = with_connection(lambda connection, _: plans.list_plans(connection))
    rows = [_readable(record, as_json=as_json) for record in records]
    print_rows(rows, ("slug", "name", "limits", "price_cents", "currency", "active", "public"), as_json=as_json)


@app.command(epilog="Example: paid-endpoint plans show free")
def show(slug: Slug, as_json: JsonOption = False) -> None:
    """Show one plan."""
    record = with_connection(lambda connection, _: plans.fetch_plan(connection, slug))
    print_record(_readable(record, as_json=as_json), as_json=as_json)


def _prices(prices: list[str] | None, quota_costs: list[str] | None) -> list[PriceSpec]:
    return [*map(parse_price, prices or ()), *map(parse_quota_cost, quota_costs or ())]


def _readable(record: plans.PlanRecord, *, as_json: bool) -> dict[str, Any]:
    data: dict[str, Any] = as_data(record)
    if not as_json:
        written = zip(record.limits, limit_texts(record.limits), strict=True)
        data["limits"] = [f"{text}{_marked(spec)}" for spec, text in written]
        data["prices"] = [_price_text(price) for price in record.prices]
    return data


def _price_text(price: PlanPriceRecord) -> str:
    parts = [] if price.price_micro is None else [f"{credits_text(price.price_micro)} credits"]
    parts += [] if price.quota_cost is None else [f"{price.quota_cost} units"]
    return f"{price.service}:{price.operation} {' and '.join(parts)}"


def _marked(spec: LimitSpec) -> str:
    return " (quota)" if spec.unit == "quota" else " (shadow)" if spec.shadow else ""
