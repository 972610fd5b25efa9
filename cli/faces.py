"""What `paid-endpoint portal` and `paid-endpoint admin` have in common: settings, options over them, one server."""

import logging
from collections.abc import Callable

from starlette.applications import Starlette

from cli.connecting import settings_or_fail
from cli.output import fail
from domain.settings import Settings


def run_face(name: str, create_app: Callable[[Settings], Starlette], *, host: str | None, port: int | None) -> None:
    """Serve the face whose settings have this name until it is told to stop. A bad setting is told, with status 1."""
    from portal.web.serving import serve

    settings = settings_or_fail()
    given = {option: value for option, value in {"host": host, "port": port}.items() if value is not None}
    face = getattr(settings, name).model_copy(update=given)
    setattr(settings, name, face)
    logging.basicConfig(level=settings.logs.level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(create_app(settings), face, log_level=settings.logs.level)
    except ValueError as error:
        fail(str(error))
