"""The mesh's secrets: made at its first start, kept in its home."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.home import write_json
from services.chassis import ids


@dataclass(frozen=True)
class Credentials:
    """`data_keys` is what `WEFT_DATA_KEYS` takes; the operator signs in, the partner client asks for tokens."""

    database_password: str
    redis_password: str
    data_keys: dict[str, str]
    operator_email: str
    operator_password: str
    partner_client_id: str
    partner_client_secret: str


def load(file: Path) -> Credentials:
    """The secrets in `file`, which is written (mode 0600) where it is missing."""
    if not file.exists():
        write_json(file, asdict(_make()))
    return Credentials(**json.loads(file.read_text()))


def _make() -> Credentials:
    return Credentials(
        database_password=secrets.token_urlsafe(24),
        redis_password=secrets.token_urlsafe(24),
        data_keys={"k1": base64.b64encode(secrets.token_bytes(32)).decode()},
        operator_email="operator@weft.local",
        operator_password=secrets.token_urlsafe(18),
        partner_client_id=ids.new("cli"),
        partner_client_secret=secrets.token_urlsafe(32),
    )
