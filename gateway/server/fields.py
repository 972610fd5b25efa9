"""Header fields of one request head, as llhttp reads them.

llhttp gets whole heads only and never a body byte: the framing is ours (`framing.py`), so it can never read past the
end of a request. A parser that expects a body, or that has failed, is thrown away.
"""

import httptools

from domain.refusals import MalformedRequest
from gateway.ends import Headers


class FieldParser:
    """One connection's llhttp. Names come out lower-case; order and duplicates are kept."""

    __slots__ = ("_fields", "_parser")

    def __init__(self) -> None:
        self._fields: Headers = []
        self._parser: httptools.HttpRequestParser | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field. llhttp leaves white space behind a value in place; it is no part of it."""
        self._fields.append((name.lower(), value.strip(b" \t")))

    def parse(self, head: bytes) -> Headers:
        """The fields of `head`, which ends with its empty line. Raises MalformedRequest."""
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        fields: Headers = []
        self._fields = fields
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            # The parser is ready for the next request again; whether anything is upgraded is not its decision.
            pass
        except httptools.HttpParserError:
            self._parser = None
            raise MalformedRequest("The header fields are not valid HTTP/1.1.") from None
        return fields

    def forget(self) -> None:
        """Call when the head announced a body or the end of the connection: this parser would wait for it."""
        self._parser = None
