"""What runs once, before a release serves."""

from typing import Any

from codegen.kubernetes import pods
from codegen.kubernetes.workloads import IMAGE, SETTINGS, environment, migration_environment

Json = dict[str, Any]
ATTEMPTS = 20
"""About an hour and a quarter, as pauses grow to five minutes: a first install may have its database later than its Jobs."""


def once(name: str, verb: str) -> Json:
    """A command of a service as a Job, `<service>-<verb>-release`, with secrets of its own.

    `migrate` has the owner's role, and neither the keys of what it alters nor a certificate: it calls nobody.

    Replicas that start before it has ended are not ready until it has.
    """
    migrates = verb == "migrate"
    container: Json = {
        "name": verb,
        "image": IMAGE,
        "args": [f"services.{name}", verb],
        "envFrom": [{"configMapRef": {"name": SETTINGS}}],
        "env": migration_environment(name) if migrates else environment(),
        "resources": pods.resources("250m", "160Mi", "512Mi"),
        "volumeMounts": [pods.mount("secrets", pods.SECRETS), pods.mount("authority", pods.AUTHORITY)],
    }
    volumes = [pods.secret_volume("secrets", f"{name}-{verb}-secrets"), pods.authority_volume()]
    if not migrates:
        container["volumeMounts"].append(pods.mount("tls", pods.TLS))
        volumes.append(pods.secret_volume("tls", f"{name}-tls"))
    part = f"{name}-{verb}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": pods.metadata(f"{part}-release", part),
        "spec": {
            "backoffLimit": ATTEMPTS,
            "ttlSecondsAfterFinished": 86_400,
            "template": {
                "metadata": {"labels": pods.labels(part)},
                "spec": pods.pod(container, volumes, serviceAccountName=name, restartPolicy="OnFailure"),
            },
        },
    }
