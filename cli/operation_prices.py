"""`paid-endpoint operations price`: what one request would cost."""

from typing import Annotated, Any
from uuid import UUID

import typer

from cli.connecting import with_connection
from cli.credit_rows import with_texts
from cli.output import JsonOption, print_record
from domain.price_quotes import PriceQuote, quote

EPILOG = "Example: paid-endpoint operations price 0b54b1f2-6b1c-4c53-9f0a-0c3d3a6e7f10 --query pages=3 --plan pro"


def price(
    operation_id: Annotated[UUID, typer.Argument(metavar="ID", help="The operation's id.")],
    query: Annotated[list[str] | None, typer.Option(help="A part of the query, as it is sent: pages=3.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="A header field: x-size=10.")] = None,
    path: Annotated[list[str] | None, typer.Option(help="A parameter of the path: day=3.")] = None,
    body_bytes: Annotated[int, typer.Option("--bytes", min=0, help="Length of the body.")] = 0,
    chunked: Annotated[bool, typer.Option("--chunked", help="The body's length is not announced.")] = False,
    answer_bytes: Annotated[int | None, typer.Option(min=0, help="Bytes of the answer that are delivered.")] = None,
    answer_events: Annotated[int | None, typer.Option(min=0, help="Events among them, of an event stream.")] = None,
    plan: Annotated[
        str | None, typer.Option(help="Slug of the caller's plan; without: the operation's own price.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a request would cost, and how the operation's formula reads it."""
    parameters = dict(_pair(text, "--path") for text in path or ())
    headers = [
        (name.lower().encode(), value.strip().encode())
        for name, value in (_pair(text, "--header") for text in header or ())
    ]

    async def work(connection: Any, _: object) -> PriceQuote:
        return await quote(
            connection,
            operation_id,
            plan=plan,
            query="&".join(query or ()).encode(),
            headers=headers,
            parameters=parameters,
            body=None if chunked else body_bytes,
            answer_bytes=answer_bytes,
            answer_events=answer_events,
        )

    found = with_connection(work)
    row = with_texts(found)
    if not as_json:
        row["fields"] = [
            f"{each.field}={'?' if each.value is None else each.value} ({each.note})" for each in found.fields
        ]
    print_record(row, as_json=as_json)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"'{text[:40]}' is not of the form name=value.", param_hint=option)
    return name, value
