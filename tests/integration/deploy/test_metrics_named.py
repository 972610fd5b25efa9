"""Every metric and label that alerts and dashboard name is one that a running gateway, portal or worker of jobs shows."""

import asyncio
import json
import re
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from cli.supervisor.ports import free_port
from domain.audit import Actor
from domain.job_runs import publish, request_run
from jobs.registry import JOBS
from tests.compose import strictly
from tests.deploy import DEPLOY, METRIC
from tests.gateways import connected, make_service, make_tenant, running_gateway
from tests.integration.observing.scraping import scraped, worker_with_port
from tests.portals import portal_settings, running_portal
from tests.wire.upstream import RecordingUpstream

SCRAPED = {"instance", "job"}
LOOKED_FOR = {"paid_endpoint_job_runs_total", "paid_endpoint_job_queue_entries", "paid_endpoint_alert_oldest_seconds"}
"""Shown by a worker of jobs one after the other: once something ran, and as it sees the queue, then the outboxes."""


def named():
    """Expressions by where they stand."""
    (rules,) = strictly((DEPLOY / "prometheus/alerts.yml").read_text())
    found = {alert["alert"]: alert["expr"] for alert in rules["groups"][0]["rules"]}
    dashboard = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found[f"variable {variable['name']}"] = variable["query"]
    return found


def labels_of(text):
    """Names of samples with those of their labels."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, set()).update(sample.labels)
    return samples


async def shown_by_portal_and_jobs(database_url, redis_url, folder):
    """The same of these, after a sign-in that was refused and a job that ran."""
    settings = portal_settings(database_url, redis_url, folder)
    settings.portal = settings.portal.model_copy(update={"metrics_port": free_port()})
    async with running_portal(settings) as portal:
        answer = await portal.browser("203.0.113.9").post("/sign-in", {"email": "a@b.c", "password": "wrong"})
        assert answer.status_code == 401
        found = labels_of((await scraped(settings.portal.metrics_port))[1])
    async with connected(database_url) as connection:
        await publish(connection, [job.record for job in JOBS])
        await request_run(connection, "key-hygiene", {}, Actor())
    async with worker_with_port(settings) as port:
        async with asyncio.timeout(40):
            of_jobs = {}
            while not set(of_jobs) >= LOOKED_FOR:
                await asyncio.sleep(0.1)
                of_jobs |= labels_of((await scraped(port))[1])
    return found | of_jobs


async def shown(fresh_database_url, redis_url):
    """Samples and their labels of a gateway, after a request that was served and one that is malformed."""
    upstream = RecordingUpstream().start()
    try:
        async with connected(fresh_database_url) as connection:
            tenant = await make_tenant(connection, "metered")
            await make_service(connection, "plain", "/plain", upstream.port)
        # Nobody listens there: the figures of traces and of the log store are shown all the same.
        nobody = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "LOG_STORE_URL": f"clickhouse://127.0.0.1:{free_port()}/logs",
        }
        async with running_gateway(fresh_database_url, redis_url, **nobody) as gateway:
            assert (await gateway.ask(gateway.request("/plain/x", tenant.key))).status == 200
            assert (await gateway.ask(b"GET / HTTP/1.1\r\n\r\n")).status == 400
            host, port = gateway.internal_address
            samples = {}
            for _ in range(60):
                samples = labels_of(urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5).read().decode())
                if {
                    "paid_endpoint_exchanges_total",
                    "paid_endpoint_guard_refusals_total",
                    "paid_endpoint_log_lag_seconds",
                    "paid_endpoint_spans_dropped_total",
                    "paid_endpoint_log_store_lag_seconds",
                } <= set(samples):
                    return samples
                await asyncio.sleep(0.1)
            return samples
    finally:
        upstream.stop()


async def test_what_is_named_is_there(fresh_database_url, redis_url, tmp_path):
    samples = await shown(fresh_database_url, redis_url)
    samples |= await shown_by_portal_and_jobs(fresh_database_url, redis_url, tmp_path)
    wrong = {}
    for where, expression in named().items():
        metrics = set(METRIC.findall(expression))
        labels = set(re.findall(r"(?:by|without) \(([^)]*)\)", expression))
        used = {name.strip() for part in labels for name in part.split(",")}
        used |= set(re.findall(r"[{,]\s*(\w+)\s*[=!]~?", expression))
        known = SCRAPED.union(*(samples.get(metric, set()) for metric in metrics))
        if metrics - set(samples) or used - known:
            wrong[where] = (metrics - set(samples), used - known)
        assert metrics or "up{" in expression, where
    assert wrong == {}
