"""A clock that tests turn: all workers and their Valkey go forward together, or the server's clock steps by itself.

The server runs under libfaketime, which reads its offset from a file for every call. The workers' `time` module is
replaced before anything of the product is imported, and reads its offset from a mapped file. Nothing else is touched.
"""

import importlib.util
import mmap
import platform
import struct
import time
from pathlib import Path

_DOUBLES = struct.Struct("=ddd")
_PLACES = ("usr/lib/{machine}-linux-gnu/faketime", "usr/lib/faketime", "usr/lib64/faketime")


def library() -> Path | None:
    """libfaketime: that of the Python package of its name, or the distribution's; None where it is not."""
    found = [Path("/") / place.format(machine=platform.machine()) / "libfaketime.so.1" for place in _PLACES]
    package = importlib.util.find_spec("libfaketime")
    # The package has it built for one kind of machine, whatever its wheel is called.
    if package is not None and package.origin is not None and platform.machine() == "x86_64":
        found.insert(0, Path(package.origin).parent / "vendor/libfaketime/src/libfaketime.so.1")
    return next((path for path in found if path.exists()), None)


class WorldClock:
    """Offsets to the machine's clock: `world` moves everybody, `step` the server alone. Seconds."""

    def __init__(self, folder: Path) -> None:
        self.shared, self._server = folder / "world", folder / "server"
        self.shared.write_bytes(_DOUBLES.pack(0, 0, 0))
        with self.shared.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _DOUBLES.size)
        self.world = self.steps = 0.0
        self._write()

    @property
    def server_environment(self) -> dict[str, str]:
        """What a server must be started with to live by this clock."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._server),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def now(self) -> float:
        """Unix seconds as everybody has them whose clock is right."""
        return time.time() + self.world

    def server_now(self) -> float:
        """Unix seconds as the server has them."""
        return self.now() + self.steps

    def advance(self, seconds: float) -> None:
        """Let time pass. Workers first: a permit that ends too early in their eyes is only unused."""
        self.world += seconds
        self._write()

    def step(self, seconds: float) -> None:
        """Set the server's clock forward or back."""
        self.steps += seconds
        self._write()

    def _write(self) -> None:
        self._map[:] = _DOUBLES.pack(self.world, self.steps, 0)
        self._server.write_text(f"{self.world + self.steps:+.6f}")


class WorkerClock:
    """The worker's side: takes the place of the `time` module's clocks. `error` makes its wall clock wrong."""

    def __init__(self, shared: Path) -> None:
        with shared.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _DOUBLES.size)
        self.error = 0.0
        self._time, self._monotonic = time.time, time.monotonic

    def install(self) -> None:
        """Replace. Before the product is imported, so that no name of it is bound to the real clock."""
        time.time, time.monotonic = self.wall, self.monotonic
        time.time_ns = lambda: int(self.wall() * 1e9)
        time.monotonic_ns = lambda: int(self.monotonic() * 1e9)

    def wall(self) -> float:
        return self._time() + self._offsets()[0] + self.error

    def monotonic(self) -> float:
        return self._monotonic() + self._offsets()[0]

    def world(self) -> float:
        """As `WorldClock.now`."""
        return self._time() + self._offsets()[0]

    def step(self) -> float:
        """How far the server's clock is from the world's."""
        return self._offsets()[1]

    def _offsets(self) -> tuple[float, float, float]:
        return _DOUBLES.unpack(self._map[:])
