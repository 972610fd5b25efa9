"""Draw terminal.svg beside this file from a running instance: one real call, and its line in `logs tail`.

While `make up` runs: .venv/bin/python docs/screenshots/terminal.py
"""  # noqa: INP001  a script, not a package

import queue
import re
import subprocess
import sys
import threading
import time
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cli.supervisor.env_file import read_env_file
from domain.settings import DATA_DIR

PICTURE = Path(__file__).with_name("terminal.svg")
WIDTH = 96
ID_WIDTH = 37
"""Columns of the request id in `logs tail`; the picture has it in the answer above."""
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SECONDS = 30.0


def main() -> None:
    """Call until `logs tail` shows a call, then draw both."""
    demo = read_env_file(DATA_DIR / "demo.env")
    address = f"{demo['GATEWAY_URL']}/proxy/hello"
    answer, lines = called_and_seen(["curl", "-si", "-H", f"X-API-Key: {demo['API_KEY']}", address])
    console = Console(record=True, width=WIDTH, file=StringIO(), highlight=False)
    prompt(console, f'curl -i -H "X-API-Key: {demo["API_KEY"][:12]}\u2026" {address}')
    console.print(Text(answer + "\n"))
    prompt(console, "paid-endpoint logs tail")
    for line in lines:
        console.print(Text(line[ID_WIDTH:].rstrip()))
    svg = console.export_svg(title="paid-endpoint")
    if demo["API_KEY"] in svg or demo["API_KEY"][-38:] in svg:
        sys.exit("The key would be on the picture.")
    PICTURE.write_text(without_downloads(svg), encoding="utf-8")


def called_and_seen(call: list[str]) -> tuple[str, list[str]]:
    """A call's answer, and the heading and the line that `logs tail` printed for it."""
    tail = subprocess.Popen([sys.executable, "-m", "cli.main", "logs", "tail"], stdout=subprocess.PIPE, text=True)
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: [said.put(line) for line in tail.stdout or ()], daemon=True).start()
    try:
        heading, deadline = "", time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            answer = subprocess.run(call, capture_output=True, text=True, check=True).stdout.replace("\r", "")  # noqa: S603
            identity = re.findall(r"^x-request-id: (\S+)$", answer, flags=re.MULTILINE)
            time.sleep(2)
            while not said.empty():
                line = said.get()
                heading = heading or line
                if identity and line.startswith(identity[0]):
                    return answer.rstrip("\n"), [heading, line]
    finally:
        tail.terminate()
        tail.wait()
    sys.exit("No call was seen; does `make up` run?")


def prompt(console: Console, command: str) -> None:
    """A line that somebody typed."""
    console.print(Text.assemble(("$ ", "green"), (command, "bold")))


def without_downloads(svg: str) -> str:
    """The picture in the fonts of the reader's machine: rich's own would be fetched from elsewhere."""
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", FONTS)


if __name__ == "__main__":
    main()
