"""A small mail server over a socket that takes mails, refuses them, hangs, or cuts the line, as it is told."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Literal

Mood = Literal["take", "refuse", "refuse_for_good", "hang", "cut_after_data", "need_tls"]


@dataclass
class Taken:
    """One mail as it arrived: envelope and message."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=default)


@dataclass
class SmtpPeer:
    """What it takes stands in `taken`. `moods` are used up one for each connection; then it takes everything."""

    moods: list[Mood] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mood = self.moods.pop(0) if self.moods else "take"
        try:
            await self._talk(reader, writer, mood)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: Mood) -> None:
        taken = Taken("", [], b"")
        if mood == "hang":
            await reader.read()
            return
        self._say(writer, "220 peer")
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "QUIT":
                self._say(writer, "221 bye")
                return
            if verb == "MAIL":
                taken.sender = line.partition("<")[2].partition(">")[0]
            if verb == "RCPT":
                if mood in ("refuse", "refuse_for_good"):
                    self._say(writer, "451 not now" if mood == "refuse" else "550 no such mailbox")
                    continue
                taken.recipients.append(line.partition("<")[2].partition(">")[0])
            if verb != "DATA":
                self._say(writer, "250 peer")
                continue
            self._say(writer, "354 go on")
            taken.raw = await _data(reader)
            self.taken.append(taken)
            if mood == "cut_after_data":
                return
            self._say(writer, "250 taken")

    def _say(self, writer: asyncio.StreamWriter, line: str) -> None:
        writer.write(f"{line}\r\n".encode())


async def _data(reader: asyncio.StreamReader) -> bytes:
    raw = await reader.readuntil(b"\r\n.\r\n")
    return raw[:-3].replace(b"\r\n..", b"\r\n.")


@asynccontextmanager
async def smtp_peer(*moods: Mood):
    """One that listens on a free port of this machine."""
    peer = SmtpPeer(list(moods))
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
