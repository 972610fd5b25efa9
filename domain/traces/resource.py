"""Who made the spans: the resource that every batch names."""

from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from domain.trace_settings import TraceSettings


def resource_of(settings: TraceSettings, instance: str) -> Resource:
    """What the settings say comes last, so that it wins; `instance` tells processes of one service apart."""
    said = {"service.name": settings.service_name, "service.instance.id": instance, **settings.more_attributes}
    resource = Resource()
    for name, value in said.items():
        resource.attributes.add(key=name).value.string_value = value
    return resource
