"""The back office's look: the portal's style, parts and formats, with templates and a style sheet of its own."""

from pathlib import Path

from portal.web import assets, templates

_HERE = Path(__file__).resolve().parent.parent
ASSETS = assets.Assets(_HERE / "static", assets.FOLDER)


class AdminTemplates(templates.Jinja):
    """Ours before the portal's, of which pages only use `_parts.html`."""

    def __init__(self) -> None:
        super().__init__(_HERE / "templates", templates.FOLDER, asset=ASSETS.url)
