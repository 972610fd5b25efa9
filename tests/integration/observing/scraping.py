"""Reading /metrics as Prometheus does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from prometheus_client.parser import text_string_to_metric_families

from cli.supervisor.ports import free_port, is_free
from domain.settings import Settings
from jobs.engine.process import Process, opened

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(port: int, path: str = "/metrics") -> tuple[int, str]:
    """Status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


def samples_of(text: str) -> Samples:
    """Value of each sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def samples(port: int) -> Samples:
    """Those that are shown now."""
    status, body = await scraped(port)
    assert status == 200, body
    return samples_of(body)


def of(found: Samples, metric: str, /, **labels: str) -> float | None:
    """One value; None if it is not there."""
    return found.get((metric, tuple(sorted(labels.items()))))


@contextlib.asynccontextmanager
async def worker_with_port(settings: Settings) -> AsyncIterator[int]:
    """A worker process of jobs in this process; the port of its /metrics."""
    port = free_port()
    settings.jobs = settings.jobs.model_copy(update={"port": port})
    stop = asyncio.Event()
    async with opened(settings) as context:
        running = asyncio.create_task(Process(context).run(stop))
        try:
            async with asyncio.timeout(10):
                while is_free(port):
                    await asyncio.sleep(0.02)
            yield port
        finally:
            stop.set()
            await running
