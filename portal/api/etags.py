"""Versions as entity tags: a change says which version it was made for."""

from starlette.requests import Request

from domain.faults import ChangedMeanwhile, VersionNeeded


def etag(version: int) -> str:
    """The tag of a version."""
    return f'"{version}"'


def version_of(request: Request) -> int:
    """The version that the change is for. Raises VersionNeeded without If-Match, ChangedMeanwhile for one that is none."""
    given = request.headers.get("if-match", "").strip()
    if not given:
        raise VersionNeeded("Send the ETag of what you looked at as If-Match.")
    number = given[1:-1]
    if etag(0)[0] + number + '"' != given or not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise ChangedMeanwhile("If-Match is not the ETag of the present version. Get it again.")
    return int(number)
