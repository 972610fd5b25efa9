"""The page of piccolo-admin: its own HTML with our script, and the token that its script sends with each change."""

from functools import lru_cache
from pathlib import Path

import piccolo_admin
from starlette.responses import HTMLResponse

from admin.web.templates import ASSETS
from admin.web.visit import Visit

CSRF_COOKIE = "csrftoken"
PATH = "/tables/"
_STYLES = " ".join(
    f"'sha256-{digest}='"
    for digest in (
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",  # an element that is filled later
        "U2kEcnngcrfdto6sFJKrtW80odoJ5yOgdz80DpMDrWA",
        "36E+CbvABov6CENfak/CBFxx0LsZtt+fKdRCtVFGtkw",
        "t4I2teZN5ZH+VM+XOiWlaPbsjQHe+k9d6viXPpKpNWA",
    )
)
"""The style sheets that piccolo-admin's script (1.14.0) makes: its icons and its date picker. A test in Chromium names others."""
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {_STYLES}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)


def page(visit: Visit) -> HTMLResponse:
    """The page. Its token belongs to the session, unlike piccolo-admin's own."""
    response = HTMLResponse(_html(), headers={"content-security-policy": CONTENT_SECURITY_POLICY})
    face = visit.settings.admin
    response.set_cookie(CSRF_COOKIE, visit.csrf, path=PATH, secure=face.secure, httponly=False, samesite="strict")
    return response


@lru_cache(maxsize=1)
def _html() -> str:
    html = (Path(piccolo_admin.__file__).parent / "dist" / "index.html").read_text()
    icon = f'<link rel="icon" href="{ASSETS.url("icon.svg")}">'
    style = f'<link rel="stylesheet" href="{ASSETS.url("tables.css")}">'
    ours = f'{icon}{style}<script type="module" src="{ASSETS.url("tables.js")}"></script></head>'
    return html.replace("<title>Piccolo Admin</title>", "<title>Tables</title>").replace("</head>", ours, 1)
