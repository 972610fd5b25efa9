"""Without an endpoint a worker is made of the parts that it was always made of."""

from domain.settings import load_settings
from gateway import forwarding, recording, tracing
from gateway.app import open_services
from gateway.server.state import WorkerIdentity
from tests.gateways import PEPPERS


async def test_a_worker_without_traces_has_none_of_their_parts(fresh_database_url, redis_url, tmp_path, monkeypatch):
    given = {"DATABASE_URL": fresh_database_url, "REDIS_URL": redis_url, "KEY_PEPPERS": PEPPERS}
    for name, value in {**given, "GATEWAY_STATE_DIR": str(tmp_path), "GATEWAY_INTERNAL_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    async with open_services(load_settings(), WorkerIdentity()) as off:
        assert (off.known_head, off.begin_trace, off.record) == (forwarding.known_head, tracing.begin, recording.record)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    async with open_services(load_settings(), WorkerIdentity()) as on:
        assert forwarding.known_head != on.known_head
        assert recording.record != on.record
