import pytest
from pydantic import ValidationError

from cli.setting_rows import setting_rows
from domain.settings import load_settings
from domain.trace_settings import TraceSettings

BASE, WHOLE = "http://collector:4318/", "https://traces.example/otlp?tenant=1"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, ""),
        ({"exporter_otlp_endpoint": BASE}, "http://collector:4318/v1/traces"),
        ({"exporter_otlp_endpoint": "http://c/otlp"}, "http://c/otlp/v1/traces"),
        ({"exporter_otlp_endpoint": BASE, "exporter_otlp_traces_endpoint": WHOLE}, WHOLE),
        ({"exporter_otlp_traces_endpoint": WHOLE, "sdk_disabled": True}, ""),
    ],
)
def test_where_spans_go(settings, url):
    assert TraceSettings(**settings).url == url


@pytest.mark.parametrize(
    "wrong",
    [
        {"exporter_otlp_endpoint": "collector:4317"},
        {"exporter_otlp_endpoint": "grpc://collector:4317"},
        {"exporter_otlp_endpoint": "http://me:hunter2@collector"},
        {"exporter_otlp_protocol": "grpc"},
        {"exporter_otlp_headers": "hunter2"},
        {"exporter_otlp_headers": "a=hunter2%0d%0ab"},
        {"resource_attributes": "=a"},
        {"traces_sampler": "jaeger_remote"},
        {"traces_sampler_arg": "1.1"},
    ],
)
def test_what_cannot_be_is_refused_and_not_quoted(wrong):
    with pytest.raises(ValidationError) as fault:
        TraceSettings(**wrong)
    assert "hunter2" not in str(fault.value)


def test_pairs_are_decoded():
    settings = TraceSettings(exporter_otlp_headers="authorization=Basic%20eA==, x-scope = a%2Cb ,")
    assert settings.header_fields == {"authorization": "Basic eA==", "x-scope": "a,b"}


def test_the_names_are_those_of_the_specification_and_the_secret_is_not_shown(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    settings = load_settings()
    assert settings.traces.url == "http://c:4318/v1/traces"
    assert settings.traces.traces_sampler_arg == 0.25
    rows = {row.name: row.value for row in setting_rows(settings)}
    assert rows["OTEL_EXPORTER_OTLP_HEADERS"] == "***"
    assert rows["OTEL_SERVICE_NAME"] == "paid-endpoint"
