"""`paid-endpoint operations`: what of a service is sold by itself."""

from typing import Annotated, Any
from uuid import UUID

import typer

from cli import operation_prices
from cli.changing import UNSAID, Trace, Why, changed, facts, with_change
from cli.connecting import with_connection
from cli.output import JsonOption, as_data, print_record, print_rows
from domain import operations
from domain.audit import Thing, Verb
from domain.credit_amounts import credits_text, parse_credits

app = typer.Typer(no_args_is_help=True, help="Create, change and list a service's operations.")

OperationId = Annotated[UUID, typer.Argument(metavar="ID", help="The operation's id.")]
Replays = Annotated[
    bool | None,
    typer.Option("--replays/--no-replays", help="Run a write under one Idempotency-Key once, and replay its outcome."),
]
Asynchronous = Annotated[
    bool | None,
    typer.Option(
        "--asynchronous/--synchronous", help="Answer 202 with a job, which the upstream does in its own time."
    ),
]
Credits = Annotated[str | None, typer.Option("--credits", help="Price of a request, at most six decimals.")]
QuotaCost = Annotated[int | None, typer.Option(help="Units that a request takes of quotas; 1 unless given.")]

Formula = Annotated[
    str | None,
    typer.Option(
        help="What a request costs, at most --credits: '0.01 + 0.002 * query.pages ? 1', '0.001 * answer.events';"
        " '' for always that."
    ),
]

app.command("price", epilog=operation_prices.EPILOG)(operation_prices.price)


@app.command(
    epilog="Example: paid-endpoint operations create weather --method GET --path '/days/{day}' --name day --credits 0.1"
)
def create(
    service: Annotated[str, typer.Argument(help="The service's slug.")],
    method: Annotated[str, typer.Option(help="HTTP method, or * for any.")],
    path: Annotated[str, typer.Option(help="Pattern behind the prefix: /a/{b}, /files/*.")],
    name: Annotated[str, typer.Option(help="Its name in scopes, logs and bills.")],
    credits_: Credits = None,
    reserved: Annotated[bool, typer.Option("--reserved", help="Reserve the price before the request.")] = False,
    quota_cost: QuotaCost = None,
    minimum_plan: Annotated[str | None, typer.Option(help="Slug of the lowest plan that may call it.")] = None,
    cost_formula: Formula = None,
    replays: Replays = None,
    asynchronous: Asynchronous = None,
    as_json: JsonOption = False,
) -> None:
    """Declare an operation of a service, with its price."""

    async def work(connection: object, _: object) -> tuple[operations.OperationRecord, Trace]:
        made = await operations.create(
            connection,
            service_slug=service,
            method=method,
            path_pattern=path,
            name=name,
            price_micro=parse_credits(credits_ or "0"),
            reserved=reserved,
            quota_cost=1 if quota_cost is None else quota_cost,
            minimum_plan=minimum_plan,
            cost_formula=cost_formula or "",
            replays=bool(replays),
            asynchronous=bool(asynchronous),
        )
        return made, Trace(Verb.OPERATION_CREATE, _thing(made), after=facts(made))

    print_record(_readable(with_change(work)), as_json=as_json)


@app.command(epilog="Example: paid-endpoint operations change 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10 --credits 0.25")
def change(
    operation_id: OperationId,
    name: Annotated[str | None, typer.Option(help="Its name in scopes, logs and bills.")] = None,
    credits_: Credits = None,
    reserved: Annotated[bool | None, typer.Option("--reserved/--not-reserved", help="Reserve the price.")] = None,
    replays: Replays = None,
    asynchronous: Asynchronous = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="A disabled one is 404.")] = None,
    quota_cost: QuotaCost = None,
    minimum_plan: Annotated[
        str | None, typer.Option(help="Slug of the lowest plan that may call it; '' for any plan.")
    ] = None,
    next_period: Annotated[
        bool, typer.Option("--from-next-period", help="Who is subscribed now pays the former price until then.")
    ] = False,
    cost_formula: Formula = None,
    reason: Why = UNSAID,
    as_json: JsonOption = False,
) -> None:
    """Change what is given. A price holds at once, but for who keeps older terms of a plan that was edited."""

    async def work(connection: object, _: object) -> tuple[operations.OperationRecord, Trace | None]:
        before = await operations.fetch_operation(connection, operation_id)
        after = await operations.change(
            connection,
            operation_id,
            name=name,
            price_micro=None if credits_ is None else parse_credits(credits_),
            reserved=reserved,
            replays=replays,
            asynchronous=asynchronous,
            enabled=enabled,
            quota_cost=quota_cost,
            minimum_plan=minimum_plan,
            at_once=not next_period,
            cost_formula=cost_formula,
        )
        return after, changed(Verb.OPERATION_CHANGE, _thing(after), before, after, reason=reason)

    print_record(_readable(with_change(work)), as_json=as_json)


@app.command("list", epilog="Example: paid-endpoint operations list demo --json")
def list_(
    service: Annotated[str | None, typer.Argument(help="Only of this service.")] = None, as_json: JsonOption = False
) -> None:
    """List operations by service and path."""
    records = with_connection(lambda connection, _: operations.list_operations(connection, service_slug=service))
    columns = (
        "service_slug",
        "method",
        "path_pattern",
        "name",
        "credits",
        "quota_cost",
        "reserved",
        "replays",
        "asynchronous",
        "enabled",
        "id",
    )
    print_rows([_readable(record) for record in records], columns, as_json=as_json)


@app.command(epilog="Example: paid-endpoint operations show 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10")
def show(operation_id: OperationId, as_json: JsonOption = False) -> None:
    """Show one operation."""
    record = with_connection(lambda connection, _: operations.fetch_operation(connection, operation_id))
    print_record(_readable(record), as_json=as_json)


def _thing(one: operations.OperationRecord) -> Thing:
    return Thing("operation", str(one.id), f"{one.service_slug}:{one.name}")


def _readable(record: operations.OperationRecord) -> dict[str, Any]:
    return {**as_data(record), "credits": credits_text(record.price_micro)}
