"""`python -m tests.leases.nursery SOCKET CLOCK`: forks workers, each a process of its own with a real Limiter.

Importing the product takes longer than most tests; a fork has it at once. Each connection to SOCKET becomes a worker.
"""

import os
import signal
import socket
import sys
from pathlib import Path

from tests.leases.world_clock import WorkerClock


def main(address: str, shared: str) -> None:
    clock = WorkerClock(Path(shared))
    clock.install()
    from tests.leases import worker

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            try:
                connection, _ = listener.accept()
            except InterruptedError:
                continue
            if os.fork() == 0:
                listener.close()
                worker.run(connection, clock)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
