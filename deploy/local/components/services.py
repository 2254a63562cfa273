"""The services of the contract, as parts: their settings, their one-off commands, their replicas."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploy.local.components import preparing
from deploy.local.components.databases import Databases
from deploy.local.failures import MeshError
from deploy.local.options import ROOT, Options
from deploy.local.state import switch_files
from deploy.local.state.certificate_files import INTERNAL, CertificateFiles
from deploy.local.state.credentials import Credentials
from deploy.local.state.endpoints import SMS_NUMBER, Endpoints
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.python import module, python_environment

if TYPE_CHECKING:
    from contract import Contract

_NO_OPERATION = ("serve", "migrate", "bootstrap")


def names(contract: "Contract") -> tuple[str, ...]:
    """The services of the contract by short name: `weft.order.v1` → `order`."""
    return tuple(package.split(".")[1] for package in contract.packages)


class Services:
    """The services of one mesh."""

    def __init__(
        self,
        options: Options,
        endpoints: Endpoints,
        databases: Databases,
        secrets: Credentials,
        certificates: CertificateFiles,
        event_key: str,
    ) -> None:
        """`event_key` is the public one of the mail sink's."""
        self._options = options
        self._endpoints = endpoints
        self._databases = databases
        self._secrets = secrets
        self._certificates = certificates
        self._event_key = event_key

    def preparation(self, name: str) -> Part:
        """What runs once before a service's replicas start: it migrates as the owner, then gives the first data."""
        first = {
            "WEFT_OPERATOR_EMAIL": self._secrets.operator_email,
            "WEFT_OPERATOR_PASSWORD": self._secrets.operator_password,
            "WEFT_PARTNER_CLIENT_ID": self._secrets.partner_client_id,
            "WEFT_PARTNER_CLIENT_SECRET": self._secrets.partner_client_secret,
            preparing.OWNER: json.dumps(self._owner(name)),
        }
        command = module("deploy.local.components.preparing", name)
        return Part(f"{name}-preparation", name, command, {**self._environment(name), **first}, ROOT)

    def check(self, name: str) -> None:
        """Raises `MeshError` where there is no such service."""
        if name not in self._endpoints.addresses:
            raise MeshError(f"There is no service {name!r}: say one of {', '.join(sorted(self._endpoints.addresses))}.")

    def operation(self, name: str, words: Sequence[str]) -> Part:
        """A command of an operator, such as `keys rotate`, as the owner of the database. Raises `MeshError`."""
        self.check(name)
        if not words or words[0] in _NO_OPERATION:
            raise MeshError(f"`{' '.join(words)}` is what the mesh itself does: see docs/running.md for commands.")
        env = {**self._environment(name), **self._owner(name)}
        return Part(f"{name}-{words[0]}", name, (*_command(name, words[0]), *words[1:]), env, ROOT)

    def data_keys(self, name: str, encrypt_with: str) -> dict[str, str]:
        """The setting of a service's data keys as they are now, and which one encrypts: the newest if empty."""
        return {"WEFT_DATA_KEYS": json.dumps(self._secrets.data_keys(name)), "WEFT_ENCRYPT_WITH": encrypt_with}

    def replicas(self, name: str) -> list[Part]:
        """The processes of a service."""
        env = self._environment(name)
        pairs = zip(self._endpoints.addresses[name], self._endpoints.metrics[name], strict=True)
        return [
            Part(
                name=f"{name}-{number}",
                group=name,
                command=_command(name, "serve"),
                env={**env, "WEFT_LISTEN": address, "WEFT_METRICS_LISTEN": metrics},
                folder=ROOT,
                health=address,
                ports=tuple(int(found.rpartition(":")[2]) for found in (address, metrics)),
                stop_grace_s=6,
            )
            for number, (address, metrics) in enumerate(pairs, start=1)
        ]

    def _owner(self, name: str) -> dict[str, str]:
        return {
            "WEFT_DATABASE_URL": self._databases.owner_url(name),
            "WEFT_SERVING_ROLE": self._databases.name(name),
        }

    def _environment(self, name: str) -> dict[str, str]:
        return {
            "WEFT_ENVIRONMENT": "development",
            "WEFT_STOP_GRACE": "2",
            "WEFT_MAILS_OF_NETWORK": "1000000",  # everyone here is one network
            "WEFT_TEXTS_OF_NETWORK": "1000000",
            **python_environment(),
            "WEFT_DATABASE_URL": self._databases.serving_url(name),
            "WEFT_REDIS_URL": self._endpoints.redis_url,
            "WEFT_OTLP_ENDPOINT": self._endpoints.otlp_endpoint,
            "WEFT_TRACE_RATIO": str(self._options.trace_ratio),
            "WEFT_ISSUER": self._options.issuer,
            "WEFT_SMTP_URL": self._endpoints.smtp_url,
            "WEFT_SMS_URL": self._endpoints.sms_url,
            "WEFT_SMS_FROM": SMS_NUMBER,
            "WEFT_VAPID_KEY": self._secrets.vapid_key,
            "WEFT_SENDGRID_EVENT_KEYS": json.dumps([self._event_key]),
            "WEFT_WEBHOOK_ALLOWED": '["127.0.0.0/8", "[::1]"]',
            "WEFT_PEERS": json.dumps(self._endpoints.addresses),
            "WEFT_TLS_CERT": str(self._certificates.certificate(name)),
            "WEFT_TLS_KEY": str(self._certificates.key(name)),
            "WEFT_TLS_CA": str(self._certificates.ca),
            "WEFT_INTERNAL_CALLERS": json.dumps([INTERNAL]),
            "WEFT_FAULTS_FILE": str(switch_files.file(self._options.home, name)),
            **self.data_keys(name, encrypt_with=""),
        }


def health_request(parts: list[Part], certificates: CertificateFiles, seconds: float) -> str:
    """The argument of `health_wait` for these replicas."""
    return json.dumps(
        {
            "ca": str(certificates.ca),
            "cert": str(certificates.certificate(INTERNAL)),
            "key": str(certificates.key(INTERNAL)),
            "seconds": seconds,
            "targets": {part.name: [part.health, f"{part.group}.weft.internal"] for part in parts},
        }
    )


def _command(name: str, verb: str) -> tuple[str, ...]:
    return module(f"services.{name}", verb)
