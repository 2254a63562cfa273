"""The mesh's secrets: made at its first start, kept in its home."""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis import ids
from deploy.local.state.home import write_json

if TYPE_CHECKING:  # the supervisor reads secrets, and makes no keys
    from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Credentials:
    """`services` holds what each service has of its own; the operator signs in, the partner client asks for tokens."""

    database_password: str
    redis_password: str
    mail_password: str
    sms_password: str
    push_password: str
    webhook_password: str
    vapid_key: str
    event_key: str
    """With which the mail sink signs what it says later."""
    services: dict[str, dict[str, Any]]
    operator_email: str
    operator_password: str
    partner_client_id: str
    partner_client_secret: str

    def data_keys(self, service: str) -> dict[str, str]:
        """What `WEFT_DATA_KEYS` of a service takes: no other service has one of them."""
        keys: dict[str, str] = self.services[service]["data_keys"]
        return keys

    def add_data_key(self, file: Path, service: str) -> str:
        """Make a data key, the newest of a service's, and rewrite `file`; returns its name."""
        keys = self.data_keys(service)
        name = f"k{max((int(key[1:]) for key in keys if key[1:].isdigit()), default=0) + 1}"
        keys[name] = _data_key()
        write_json(file, asdict(self))
        return name

    def serving_password(self, service: str) -> str:
        """Of the database role that serves."""
        return str(self.services[service]["serving_password"])

    def owner_password(self, service: str) -> str:
        """Of the database role that migrates."""
        return str(self.services[service]["owner_password"])


def load(file: Path, services: Iterable[str]) -> Credentials:
    """The secrets in `file` (mode 0600), which is written where it is missing or lacks a service."""
    there: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    # Before each service had its own, one key sealed everything: it stays with the service that holds personal data.
    first = there.pop("data_keys", None)
    found = {**_make(), **there}
    found["services"] = {**found["services"], **{n: _of_service() for n in services if n not in found["services"]}}
    if first is not None and "user" in found["services"]:
        found["services"]["user"]["data_keys"] = first
    made = Credentials(**found)
    if asdict(made) != there:
        write_json(file, asdict(made))
    return made


def _make() -> dict[str, Any]:
    return {
        "database_password": secrets.token_urlsafe(24),
        "redis_password": secrets.token_urlsafe(24),
        "mail_password": secrets.token_urlsafe(24),
        "sms_password": secrets.token_urlsafe(24),
        "push_password": secrets.token_urlsafe(24),
        "webhook_password": secrets.token_urlsafe(24),
        "vapid_key": _p256_key(),
        "event_key": _p256_key(),
        "services": {},
        "operator_email": "operator@weft.local",
        "operator_password": secrets.token_urlsafe(18),
        "partner_client_id": ids.new("cli"),
        "partner_client_secret": secrets.token_urlsafe(32),
    }


def _of_service() -> dict[str, Any]:
    return {
        "data_keys": {"k1": _data_key()},
        "serving_password": secrets.token_urlsafe(24),
        "owner_password": secrets.token_urlsafe(24),
    }


def _data_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _p256_key() -> str:
    """A private key of P-256, as 32 bytes in base64url."""
    from cryptography.hazmat.primitives.asymmetric import ec

    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def private_key(text: str) -> "ec.EllipticCurvePrivateKey":
    """A key of P-256 from the secrets."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(base64.urlsafe_b64decode(f"{text}="), "big"), ec.SECP256R1())


def public_key(text: str) -> str:
    """The public key of a private one from the secrets: DER, base64."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = private_key(text).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()
