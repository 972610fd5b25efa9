"""The pages that a problem document's `type` leads to: docs/errors, as they are in the repository."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from domain.refusals import ALL

PAGES = Path(__file__).resolve().parent.parent / "docs" / "errors"
_BY_CODE = {refusal.code: refusal for refusal in ALL}


def page_text(code: str) -> str | None:
    """The page of a code, or what the code itself says where the documentation is not installed; None if unknown."""
    refusal = _BY_CODE.get(code)
    if refusal is None:
        return None
    page = PAGES / f"{code}.md"
    if page.is_file():
        return page.read_text(encoding="utf-8")
    return f"# {refusal.status} {refusal.title}\n\n{refusal.default_detail}\n"


async def error_page(request: Request) -> Response:
    """GET /errors/{code}"""
    text = page_text(request.path_params["code"])
    if text is None:
        return PlainTextResponse("There is no error of this code.\n", status_code=404)
    return PlainTextResponse(text, media_type="text/markdown; charset=utf-8", headers={"cache-control": "max-age=3600"})
