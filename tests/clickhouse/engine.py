"""ClickHouse's own engine (chdb) behind as much of ClickHouse's HTTP interface as we speak: a program that can be killed.

    python -m tests.clickhouse.engine FOLDER PORT USER PASSWORD

One statement at a time. What it does itself: who asks is checked, statements that change something are refused under
`readonly`, and a fault has its number in a header, as ClickHouse's server does.
"""

import base64
import hmac
import re
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session

_CODE = re.compile(r"Code: (\d+)\.")
_READS = re.compile(r"\s*(select|with|show)\b", re.IGNORECASE)
_INSERTS = re.compile(r"(\s*insert\b.*?)(\sformat\s+\w+\s*)$", re.IGNORECASE | re.DOTALL)
_OWN = {"query", "database", "default_format", "readonly", "wait_end_of_query"}


class ReadOnlyError(Exception):
    """What ClickHouse says to a statement that would change something where it may not."""

    def __init__(self) -> None:
        super().__init__("Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY)")


class Engine:
    """The one session of the process."""

    def __init__(self, folder: str) -> None:
        self._session, self._lock = Session(folder), threading.Lock()
        self.slow_seconds = 0.0

    def run(self, asked: dict[str, str], body: bytes) -> bytes:
        """The answer to one request. Raises what the engine raises."""
        statement = asked.get("query", "")
        data = body.decode()
        settings = {name: text for name, text in asked.items() if name not in _OWN and not name.startswith("param_")}
        if not statement:
            statement, data = data, ""
        if asked.get("readonly") and not _READS.match(statement):
            raise ReadOnlyError
        with self._lock:
            if self.slow_seconds:
                time.sleep(self.slow_seconds)
            self._session.query(f"use {asked.get('database', 'default')}")
            for name, text in asked.items():
                if name.startswith("param_"):
                    self._session.query(f"set {name} = {_quoted(text)}")
            if found := _INSERTS.match(statement):
                chosen = ", ".join(f"{name} = {_quoted(text)}" for name, text in settings.items())
                statement = f"{found[1]} settings {chosen}{found[2]}\n{data}"
            elif settings and _READS.match(statement):
                chosen = ", ".join(f"{name} = {_quoted(text)}" for name, text in settings.items())
                statement = f"{statement} settings {chosen}"
            return bytes(self._session.query(statement, asked.get("default_format", "TabSeparated")).bytes())


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def handler(engine: Engine, user: str, password: str) -> type[BaseHTTPRequestHandler]:
    """What answers each request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one piece

        def do_GET(self) -> None:
            self._answer(200, b"Ok.\n")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            if not hmac.compare_digest(self.headers.get("authorization", ""), wanted):
                self._answer(403, b"Code: 516. DB::Exception: Authentication failed.\n", "516")
                return
            try:
                answer = engine.run(asked, body)
            except Exception as fault:
                # Whatever the engine says, a server says it to its client.
                number = _CODE.search(str(fault))
                self._answer(500, f"{fault}\n".encode(), number[1] if number else "1002")
            else:
                self._answer(200, answer)

        def _answer(self, status: int, body: bytes, number: str = "") -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            if number:
                self.send_header("X-ClickHouse-Exception-Code", number)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests say what happened."""

    return Handler


def main() -> None:
    """Serve until killed."""
    folder, port, user, password = sys.argv[1:5]
    engine = Engine(folder)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), handler(engine, user, password))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # How a test makes it slow from outside.
    signal.signal(signal.SIGUSR1, lambda *_: setattr(engine, "slow_seconds", 0.0 if engine.slow_seconds else 10.0))
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
