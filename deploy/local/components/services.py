"""The services of the contract, as parts: their settings, their one-off commands, their replicas."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract import Contract
from deploy.local.components.databases import Databases
from deploy.local.options import ROOT, Options
from deploy.local.state.certificates import INTERNAL, Certificates
from deploy.local.state.credentials import Credentials
from deploy.local.supervisor.part import Part


@dataclass(frozen=True)
class Surroundings:
    """Where the services find what they need: URLs as in the settings of a service."""

    databases: Databases
    redis_url: str
    otlp_endpoint: str
    smtp_url: str
    addresses: Mapping[str, tuple[str, ...]]
    """gRPC addresses of every service's replicas."""
    metrics: Mapping[str, tuple[str, ...]]
    """Prometheus addresses of the same."""


def names(contract: Contract) -> tuple[str, ...]:
    """The services of the contract by short name: `weft.order.v1` → `order`."""
    return tuple(package.split(".")[1] for package in contract.packages)


def python_environment() -> dict[str, str]:
    """The environment of a Python part: ours, with this tree's sources first."""
    sources = [str(ROOT / folder) for folder in ("", "gen/python", "clients/python/src", "third_party/python")]
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,  # compiled modules are kept: they halve the time to start
        "PYTHONPATH": os.pathsep.join([*sources, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc gives each thread an arena of its own; two are enough here and save memory
        "GRPC_VERBOSITY": os.environ.get("GRPC_VERBOSITY", "ERROR"),
    }


def commands(
    name: str, options: Options, around: Surroundings, secrets: Credentials, certificates: Certificates
) -> list[Part]:
    """What runs once, in this order, before a service's replicas start."""
    env = _environment(name, options, around, secrets, certificates)
    first = {
        "WEFT_OPERATOR_EMAIL": secrets.operator_email,
        "WEFT_OPERATOR_PASSWORD": secrets.operator_password,
        "WEFT_PARTNER_CLIENT_ID": secrets.partner_client_id,
        "WEFT_PARTNER_CLIENT_SECRET": secrets.partner_client_secret,
    }
    owner = {
        "WEFT_DATABASE_URL": around.databases.owner_url(name),
        "WEFT_SERVING_ROLE": around.databases.name(name),
    }
    return [
        Part(f"{name}-{verb}", name, _command(name, verb), {**env, **more}, ROOT)
        for verb, more in (("migrate", owner), ("bootstrap", first))
    ]


def replicas(
    name: str, options: Options, around: Surroundings, secrets: Credentials, certificates: Certificates
) -> list[Part]:
    """The processes of a service."""
    env = _environment(name, options, around, secrets, certificates)
    pairs = zip(around.addresses[name], around.metrics[name], strict=True)
    return [
        Part(
            name=f"{name}-{number}",
            group=name,
            command=_command(name, "serve"),
            env={**env, "WEFT_LISTEN": address, "WEFT_METRICS_LISTEN": metrics},
            folder=ROOT,
            health=address,
            ports=tuple(int(found.rpartition(":")[2]) for found in (address, metrics)),
            grace=6,
        )
        for number, (address, metrics) in enumerate(pairs, start=1)
    ]


def question(parts: list[Part], certificates: Certificates, seconds: float) -> str:
    """What `gate` is asked for these replicas."""
    return json.dumps(
        {
            "ca": str(certificates.ca),
            "cert": str(certificates.certificate(INTERNAL)),
            "key": str(certificates.key(INTERNAL)),
            "seconds": seconds,
            "targets": {part.name: [part.health, f"{part.group}.weft.internal"] for part in parts},
        }
    )


def module(name: str, *arguments: str | Path) -> tuple[str, ...]:
    """The command that runs a Python module."""
    return (sys.executable, "-m", name, *map(str, arguments))


def _command(name: str, verb: str) -> tuple[str, ...]:
    return module(f"services.{name}", verb)


def _environment(
    name: str, options: Options, around: Surroundings, secrets: Credentials, certificates: Certificates
) -> dict[str, str]:
    return {
        "WEFT_STOP_GRACE": "2",
        "WEFT_MAILS_OF_NETWORK": "1000000",  # everyone here is one network
        **python_environment(),
        "WEFT_DATABASE_URL": around.databases.serving_url(name),
        "WEFT_REDIS_URL": around.redis_url,
        "WEFT_OTLP_ENDPOINT": around.otlp_endpoint,
        "WEFT_TRACE_RATIO": str(options.trace_ratio),
        "WEFT_ISSUER": options.issuer,
        "WEFT_SMTP_URL": around.smtp_url,
        "WEFT_PEERS": json.dumps(around.addresses),
        "WEFT_TLS_CERT": str(certificates.certificate(name)),
        "WEFT_TLS_KEY": str(certificates.key(name)),
        "WEFT_TLS_CA": str(certificates.ca),
        "WEFT_INTERNAL_CALLERS": json.dumps([INTERNAL]),
        "WEFT_DATA_KEYS": json.dumps(secrets.data_keys(name)),
    }
