"""Opening connections: addresses, TCP, TLS. The only part of the upstream side that awaits."""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from gateway.ends import FailureKind


@dataclass(slots=True)
class DialError(Exception):
    """No connection. `internal` is for the operator: it names addresses and what the system said."""

    kind: FailureKind
    internal: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection goes; `tls_verify` means something for https only."""

    scheme: str
    host: str
    port: int
    tls_verify: bool

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@functools.cache
def tls_context(*, verify: bool) -> ssl.SSLContext:
    """The system's trust (or `SSL_CERT_FILE`), read once. Without `verify` any certificate of any name is taken:
    such a service is encrypted against listeners only, and whoever answers at its address is believed.
    """
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(target: Target, protocol: Callable[[], asyncio.BaseProtocol], seconds: float) -> asyncio.BaseProtocol:
    """Open a connection within `seconds` (0: no bound) and return its protocol. Raises DialError.

    Addresses are tried in the resolver's order, each with an equal share of the time that is left, so a first address
    that swallows packets doesn't use up the second one's chance.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds if seconds else None
    addresses = await _resolve(target, deadline)
    failures: list[DialError] = []
    for position, address in enumerate(addresses):
        share = None if deadline is None else max(0.0, deadline - loop.time()) / (len(addresses) - position)
        try:
            return await _connect(target, address, protocol, share)
        except DialError as failure:
            failures.append(failure)
    timed_out = all(failure.kind == "connect_timeout" for failure in failures)
    raise DialError("connect_timeout" if timed_out else "connect", "; ".join(f.internal for f in failures))


async def _resolve(target: Target, deadline: float | None) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline):
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise DialError("connect_timeout", f"{target}: name not resolved in time") from None
    except (OSError, UnicodeError) as error:
        raise DialError("connect", f"{target}: name not resolved: {error}") from error
    # A resolver may give one address several times; trying it again would only cost time.
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _connect(
    target: Target, address: str, protocol: Callable[[], asyncio.BaseProtocol], seconds: float | None
) -> asyncio.BaseProtocol:
    loop = asyncio.get_running_loop()
    where = f"{target} at {address}"
    context = tls_context(verify=target.tls_verify) if target.scheme == "https" else None
    name = target.host if context is not None else None
    try:
        async with asyncio.timeout(seconds):
            _, made = await loop.create_connection(protocol, address, target.port, ssl=context, server_hostname=name)
    except TimeoutError:
        raise DialError("connect_timeout", f"{where}: no connection in time") from None
    except ssl.SSLCertVerificationError as error:
        raise DialError("connect", f"{where}: certificate refused: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise DialError("connect", f"{where}: TLS handshake failed: {error.reason or error}") from error
    except OSError as error:
        raise DialError("connect", f"{where}: {error.strerror or error}") from error
    return made
