"""Why a row is written by hand: what the operator typed beside piccolo-admin's form, in a header of the request."""

from unicodedata import category
from urllib.parse import unquote

from starlette.requests import Request

from domain.audit import TEXT_LENGTH
from domain.faults import InvalidValue
from domain.key_format import holds_key

HEADER = "x-reason"
"""In which our script on piccolo-admin's page sends it, percent-encoded, as headers have no other letters."""


def reason_of(request: Request) -> str:
    """The reason in one line; empty if none was given. Raises InvalidValue for what cannot stand in the audit."""
    try:
        text = " ".join(unquote(request.headers.get(HEADER, ""), errors="strict").split())
    except UnicodeDecodeError:
        raise InvalidValue("The reason is no text.") from None
    if any(category(character) in ("Cc", "Cs") for character in text):
        raise InvalidValue("The reason has characters that cannot be shown.")
    if len(text) > TEXT_LENGTH:
        raise InvalidValue(f"The reason is longer than {TEXT_LENGTH} characters.")
    if holds_key(text):
        raise InvalidValue("A whole API key stands in the reason. Name a key by how it begins.")
    return text
