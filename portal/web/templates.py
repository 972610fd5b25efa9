"""Jinja as the portal uses it: everything escaped, unknown names are errors, formats as filters."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.identity.providers import offered
from domain.settings import Settings
from portal.web import formats
from portal.web.assets import asset_url

FOLDER = Path(__file__).resolve().parent.parent / "templates"


class Templates:
    """The templates of this process, compiled when first used."""

    def __init__(self, settings: Settings) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(formats.FILTERS)
        self._environment.globals.update(
            asset=asset_url, base_url=settings.portal.base_url, providers=lambda: offered(settings.sign_in)
        )

    def text(self, template: str, **context: Any) -> str:
        """What a template makes of its context. Raises jinja2.UndefinedError for a name that is not there."""
        return self._environment.get_template(template).render(**context)
