"""Who sends telemetry: the resource attributes of OpenTelemetry's conventions."""

import uuid

from opentelemetry.sdk.resources import Resource


def describe(service: str, version: str, environment: str) -> Resource:
    """The resource of this process. Its instance is new with each start."""
    return Resource.create(
        {
            "service.name": service,
            "service.namespace": "weft",
            "service.version": version,
            "service.instance.id": str(uuid.uuid4()),
            "deployment.environment.name": environment,
        }
    )
