"""`git http-backend` behind a small threaded server: what a hosted Git service is, for tests.

Git sends chunked and gzip-ed request bodies and asks with `Expect: 100-continue`; all of it arrives here as sent.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

BLOCK = 65_536


class GitHandler(BaseHTTPRequestHandler):
    """One CGI process per request, streamed both ways."""

    protocol_version = "HTTP/1.1"
    root: Path
    patient: bool

    def do_GET(self) -> None:
        """References."""
        self._serve()

    def do_POST(self) -> None:
        """Packs."""
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the method we replace
        """Say nothing."""

    def _serve(self) -> None:
        backend = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-http-backend"
        with subprocess.Popen(
            [backend], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment()
        ) as process:
            assert process.stdin
            assert process.stdout
            feeder = threading.Thread(target=self._feed, args=(process.stdin,))
            feeder.start()
            if self.patient:
                feeder.join()
            self._answer(process.stdout)
            feeder.join()

    def _environment(self) -> dict[str, str]:
        target = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": target.path,
            "QUERY_STRING": target.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": self.client_address[0],
            "REMOTE_USER": "tests",
        }
        if "Content-Length" in self.headers:
            environment["CONTENT_LENGTH"] = self.headers["Content-Length"]
        return environment

    def _feed(self, stdin: IO[bytes]) -> None:
        try:
            for part in self._body():
                stdin.write(part)
        except BrokenPipeError:
            self.close_connection = True
        finally:
            stdin.close()

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline() not in {b"\r\n", b""}:
                pass
            return
        left = int(self.headers.get("Content-Length", 0))
        while left and (part := self.rfile.read(min(left, BLOCK))):
            left -= len(part)
            yield part

    def _answer(self, stdout: IO[bytes]) -> None:
        status, headers = 200, []
        while line := stdout.readline().strip():
            name, _, value = line.decode().partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while part := stdout.read1(BLOCK):  # type: ignore[attr-defined]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")


@contextmanager
def git_server(root: Path, *, patient: bool) -> Iterator[int]:
    """Serve every repository below `root`; the port.

    The backend prints its head before it has read the request. A patient server keeps that back until the body is
    there, as most do; another sends it at once, and the rest of the request follows beside the answer.
    """
    handler = type("Handler", (GitHandler,), {"root": root, "patient": patient})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
