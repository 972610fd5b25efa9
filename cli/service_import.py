"""`paid-endpoint services import`: a service from an OpenAPI description."""

from typing import Annotated

import typer

from cli.actors import OPERATOR
from cli.apply import read_text
from cli.connecting import with_connection
from cli.differences import print_outcome, visible
from cli.output import JsonOption, note
from domain.as_code.openapi_importing import import_spec
from domain.as_code.openapi_reading import LARGEST_SPEC
from domain.credit_amounts import parse_credits

MOST_NOTES = 20


def import_(
    slug: Annotated[str, typer.Argument(help="The service's slug; it is made if there is none.")],
    spec: Annotated[str, typer.Option(help="OpenAPI 3.0 or 3.1 as JSON or YAML; - reads standard input.")],
    prefix: Annotated[str | None, typer.Option(help="Where the gateway serves it; of a new one: /SLUG.")] = None,
    upstream: Annotated[
        list[str] | None, typer.Option(help="URL that requests go to; of a new one: the spec's first server.")
    ] = None,
    credits_: Annotated[
        str, typer.Option("--credits", help="Price of new operations for which the spec has no x-credits.")
    ] = "0",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Disable operations that the spec no longer has.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a service with its operations from an OpenAPI description; again, and what changed is shown and made."""
    text = read_text(spec, LARGEST_SPEC)
    made = with_connection(
        lambda connection, _: import_spec(
            connection,
            slug,
            text,
            OPERATOR,
            prefix=prefix,
            upstreams=tuple(upstream or ()),
            price_micro=parse_credits(credits_),
            dry_run=dry_run,
            prune=prune,
        )
    )
    for sentence in made.notes[:MOST_NOTES]:
        note(visible(f"Note: {sentence}"))
    if len(made.notes) > MOST_NOTES:
        note(f"Note: {len(made.notes) - MOST_NOTES} more like these.")
    print_outcome(made.outcome, dry_run=dry_run, as_json=as_json, source="the spec")
