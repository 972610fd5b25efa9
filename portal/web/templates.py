"""Jinja as our pages use it: everything escaped, unknown names are errors, formats as filters."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.identity.providers import offered
from domain.settings import Settings
from portal.web import formats
from portal.web.assets import ASSETS

FOLDER = Path(__file__).resolve().parent.parent / "templates"


class Jinja:
    """The templates of these folders, compiled when first used; where a name stands in several, the first has it."""

    def __init__(self, *folders: Path, **names: Any) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(formats.FILTERS)
        self._environment.globals.update(names)

    def text(self, template: str, **context: Any) -> str:
        """What a template makes of its context. Raises jinja2.UndefinedError for a name that is not there."""
        return self._environment.get_template(template).render(**context)


class Templates(Jinja):
    """The portal's."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            FOLDER,
            asset=ASSETS.url,
            base_url=settings.portal.base_url,
            providers=lambda: offered(settings.sign_in),
        )
