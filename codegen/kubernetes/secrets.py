"""The secrets that processes read, by name: as references to a store of secrets, and, for development, as they are.

A secret holds a file for each setting. A migration has the owner's role, so a secret of its own.
"""

import json
from typing import Any

from chassis.environments.services import DEVELOPMENT_DATA_KEY, DEVELOPMENT_PASSWORD, OPERATOR_PASSWORD

Json = dict[str, Any]

STORE = "weft"
"""The SecretStore that an overlay or the operator of the cluster defines."""
OF_EACH = ("weft_database_url", "weft_redis_url", "weft_data_keys")
OF_MIGRATION = ("weft_database_url",)
MORE = {
    "notification": ("weft_smtp_url", "weft_sms_url"),
    "order": ("weft_stripe_key", "weft_stripe_webhook_secret"),
}
"""What a service has beside what each has."""
OPTIONAL = {
    "notification": (
        "weft_smtp_fallback_url",
        "weft_sms_fallback_url",
        "weft_sendgrid_event_keys",
        "weft_dkim_key",
        "weft_vapid_key",
    ),
}
"""What a service may have beside: each is taken from the secret `<service>-optional-secrets` where that is, and has it."""
FIRST = ("weft_operator_email", "weft_operator_password")
"""What the first operator signs in with."""
FIRST_SERVICE = "user"


def names(services: list[str]) -> dict[str, tuple[str, ...]]:
    """The settings in each secret."""
    found: dict[str, tuple[str, ...]] = {}
    for service in services:
        found[f"{service}-secrets"] = OF_EACH + MORE.get(service, ())
        found[f"{service}-migrate-secrets"] = OF_MIGRATION
    found[f"{FIRST_SERVICE}-bootstrap-secrets"] = OF_EACH + FIRST
    return found


def external(services: list[str]) -> list[Json]:
    """References for the External Secrets operator: `weft/user-secrets` of the store, one property for each setting."""
    return [
        _external(
            secret,
            data=[
                {"secretKey": setting, "remoteRef": {"key": f"weft/{secret}", "property": setting}}
                for setting in settings
            ],
        )
        for secret, settings in names(services).items()
    ]


def optional(services: list[str]) -> list[Json]:
    """References to all that the store has at `weft/<service>-optional-secrets`; a pod mounts what it knows of it."""
    found = [optional_name(service) for service in services if service in OPTIONAL]
    return [_external(secret, dataFrom=[{"extract": {"key": f"weft/{secret}"}}]) for secret in found]


def optional_name(service: str) -> str:
    """The secret of what a service may have."""
    return f"{service}-optional-secrets"


def _external(secret: str, **source: Any) -> Json:
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": secret},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "SecretStore", "name": STORE},
            "target": {"name": secret, "creationPolicy": "Owner"},
            **source,
        },
    }


def development(services: list[str]) -> list[Json]:
    """The secrets of a mesh that holds nothing of value, for the component `data`."""
    made = []
    for secret, settings in names(services).items():
        service, _, part = secret.removesuffix("-secrets").partition("-")
        role = f"weft_{service}_owner" if part == "migrate" else f"weft_{service}"
        values = {
            "weft_database_url": f"postgresql://{role}:{DEVELOPMENT_PASSWORD}@postgres:5432",
            "weft_redis_url": f"redis://:{DEVELOPMENT_PASSWORD}@valkey:6379",
            "weft_data_keys": json.dumps({"k1": DEVELOPMENT_DATA_KEY}),
            "weft_operator_email": "operator@weft.example",
            "weft_operator_password": OPERATOR_PASSWORD,
        }
        made.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": secret},
                "stringData": {setting: values[setting] for setting in settings if setting in values},
            }
        )
    return made


def databases(services: list[str]) -> Json:
    """The SQL that makes the databases and roles of a development mesh."""
    lines = []
    for service in services:
        name = f"weft_{service}"
        lines += [
            f"CREATE ROLE {name} LOGIN NOINHERIT PASSWORD '{DEVELOPMENT_PASSWORD}';",
            f"CREATE ROLE {name}_owner LOGIN PASSWORD '{DEVELOPMENT_PASSWORD}';",
            f"CREATE DATABASE {name} OWNER {name}_owner TEMPLATE template0 ENCODING 'UTF8';",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
        ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "databases"},
        "data": {"databases.sql": "\n".join(lines) + "\n"},
    }
