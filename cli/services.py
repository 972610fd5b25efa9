"""`paid-endpoint services`: upstream APIs under a prefix of the gateway."""

from typing import Annotated, Any

import typer

from cli import callback_secrets
from cli.changing import UNSAID, Trace, Why, changed, facts, with_change
from cli.connecting import with_connection
from cli.output import USAGE, JsonOption, fail, print_record, print_rows
from cli.service_import import import_
from domain import services
from domain.audit import Thing, Verb

app = typer.Typer(no_args_is_help=True, help="Create, change, import and list services (upstream APIs).")
app.command("callback-secret", epilog=callback_secrets.EPILOG)(callback_secrets.callback_secret)
app.command("import", epilog="Example: paid-endpoint services import weather --spec openapi.yaml --dry-run")(import_)

Slug = Annotated[str, typer.Argument(help="The service's slug.")]
Category = Annotated[str | None, typer.Option(help="Groups services in the catalog.")]
Version = Annotated[str | None, typer.Option(help="Of the API, for display.")]
Featured = Annotated[bool | None, typer.Option("--featured/--not-featured", help="First in its category, and outside.")]
Beta = Annotated[bool | None, typer.Option("--beta/--not-beta", help="Marked as beta in the catalog.")]
Upstreams = Annotated[list[str], typer.Option("--upstream", help="URL that requests go to; several are balanced.")]

_NUMBERS = ("_ms", "_seconds", "max_connections", "max_body_bytes", "sort_order", "job_concurrency")


@app.command(epilog="Example: paid-endpoint services create weather --prefix /weather --upstream http://127.0.0.1:8000")
def create(
    slug: Slug,
    prefix: Annotated[str, typer.Option(help="Where the gateway serves it.")],
    upstream: Upstreams,
    name: Annotated[str | None, typer.Option(help="As customers see it; default: the slug.")] = None,
    description: Annotated[str, typer.Option(help="For the catalog.")] = "",
    keep_prefix: Annotated[bool, typer.Option("--keep-prefix", help="Send the prefix on to the upstream.")] = False,
    charge_on: Annotated[str, typer.Option(help="success or response.")] = "success",
    category: Category = None,
    version: Version = None,
    featured: Featured = None,
    beta: Beta = None,
    as_json: JsonOption = False,
) -> None:
    """Put an upstream API behind the gateway."""
    shown = _given(category=category, version=version, featured=featured, beta=beta)

    async def work(connection: Any, _: object) -> tuple[services.ServiceRecord, Trace]:
        made = await services.create(
            connection,
            slug=slug,
            prefix=prefix,
            upstreams=upstream,
            name=name,
            description=description,
            keep_prefix=keep_prefix,
            charge_on=charge_on,
            **shown,
        )
        return made, Trace(Verb.SERVICE_CREATE, Thing("service", made.slug, made.slug), after=facts(made))

    print_record(with_change(work), as_json=as_json)


@app.command(epilog="Example: paid-endpoint services change weather --upstream http://10.0.0.7:8000 --disabled")
def change(
    slug: Slug,
    prefix: Annotated[str | None, typer.Option(help="Where the gateway serves it.")] = None,
    upstream: Annotated[list[str] | None, typer.Option("--upstream", help="Replaces all upstreams.")] = None,
    name: Annotated[str | None, typer.Option(help="As customers see it.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="A disabled one is 404.")] = None,
    coming_soon: Annotated[bool | None, typer.Option("--coming-soon/--available", help="Shown, not served.")] = None,
    charge_on: Annotated[str | None, typer.Option(help="success or response.")] = None,
    category: Category = None,
    version: Version = None,
    featured: Featured = None,
    beta: Beta = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="COLUMN=NUMBER of a timeout or bound.")] = None,
    reason: Why = UNSAID,
    as_json: JsonOption = False,
) -> None:
    """Change what is given."""
    columns = _given(name=name, enabled=enabled, coming_soon=coming_soon, charge_on=charge_on)
    columns |= _given(category=category, version=version, featured=featured, beta=beta)
    columns.update(_number(pair) for pair in set_ or [])

    async def work(connection: Any, _: object) -> tuple[services.ServiceRecord, Trace | None]:
        before = await services.fetch_service(connection, slug)
        after = await services.update(connection, slug, prefix=prefix, upstreams=upstream or None, **columns)
        return after, changed(Verb.SERVICE_CHANGE, Thing("service", slug, slug), before, after, reason=reason)

    print_record(with_change(work), as_json=as_json)


@app.command("list", epilog="Example: paid-endpoint services list --json")
def list_(as_json: JsonOption = False) -> None:
    """List the services in the catalog's order."""
    records = with_connection(lambda connection, _: services.list_services(connection))
    print_rows(records, ("slug", "name", "route_prefix", "upstreams", "enabled", "charge_on"), as_json=as_json)


@app.command(epilog="Example: paid-endpoint services show demo")
def show(slug: Slug, as_json: JsonOption = False) -> None:
    """Show one service."""
    record = with_connection(lambda connection, _: services.fetch_service(connection, slug))
    print_record(record, as_json=as_json)


def _given(**columns: Any) -> dict[str, Any]:
    return {column: value for column, value in columns.items() if value is not None}


def _number(pair: str) -> tuple[str, int]:
    column, _, value = pair.partition("=")
    if not value.isdecimal() or not column.endswith(_NUMBERS):
        fail(f"'{pair}': write a timeout or bound and a number, such as idle_timeout_ms=90000.", USAGE)
    return column, int(value)
