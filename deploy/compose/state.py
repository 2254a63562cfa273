"""What the containers of `deploy/compose.yaml` find in their folders: certificates, settings that are secret, SQL.

A folder for each container, so that none sees another's. Everything is made at the first start and kept; certificates
are renewed by the start that finds them near their end.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.components import sms_sink
from deploy.local.state import credentials
from deploy.local.state.certificates import EDGE, EDGE_SERVER, Certificates
from deploy.local.state.credentials import Credentials, public_key
from deploy.local.state.home import write

CONTAINER_USER = 10001
"""Whom the containers run as when root starts them."""
_POSTGRES = "postgres:5432"
_VALKEY = """\
requirepass {password}
maxmemory 256mb
maxmemory-policy allkeys-lru
save ""
appendonly no
dir /data
"""
_DATABASE = """\
SELECT 'CREATE ROLE {role}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec
ALTER ROLE {role} LOGIN {inherit} PASSWORD '{password}';
"""
_OWNED = """\
SELECT 'CREATE DATABASE {name} OWNER {name}_owner TEMPLATE template0 ENCODING ''UTF8'''
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
REVOKE ALL ON DATABASE {name} FROM PUBLIC;
"""


@dataclass(frozen=True)
class State:
    """The folder `$WEFT_STATE` of one mesh."""

    folder: Path
    services: tuple[str, ...]

    @property
    def user(self) -> tuple[int, int]:
        """The user and group that the containers run as: who started them, or nobody in particular for root."""
        return (os.getuid(), os.getgid()) if os.getuid() else (CONTAINER_USER, CONTAINER_USER)

    @property
    def mail(self) -> Path:
        """Where mails are kept."""
        return self.folder / "mail"

    @property
    def sms(self) -> Path:
        """Where text messages are kept."""
        return self.folder / "sms"

    @property
    def push(self) -> Path:
        """Where push messages are kept."""
        return self.folder / "push"

    @property
    def webhooks(self) -> Path:
        """Where webhooks are kept."""
        return self.folder / "webhooks"

    @property
    def _kept(self) -> tuple[Path, ...]:
        return self.mail, self.sms, self.push, self.webhooks

    def credentials(self) -> Credentials:
        """The secrets, made where they are missing."""
        return credentials.load(self.folder / "secrets.json", self.services)

    def prepare(self) -> None:
        """Make or renew everything. Raises `OSError`."""
        for folder in (self.folder, *self._kept, self.folder / "certs", self.folder / "secrets"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificates = Certificates(self.folder / "certs", self.services)
        certificates.ensure()
        files = _files(self.credentials(), self.services)
        for owner in (*self.services, EDGE):
            files[owner] |= _certificate(certificates, owner, "tls") | {"ca.crt": certificates.ca.read_text()}
        for name in self.services:
            tls = {file: text for file, text in files[name].items() if not file.startswith("weft_")}
            files[f"{name}-owner"] |= tls
            files[f"{name}-first"] |= tls
        files[EDGE] |= _certificate(certificates, EDGE_SERVER, "server")
        for container, content in files.items():
            self._write(self.folder / "secrets" / container, content)
        self._hand_over()

    def _write(self, folder: Path, content: Mapping[str, str]) -> None:
        # PostgreSQL's image changes to a user of its own; on this machine the folder above admits nobody else.
        is_foreign = folder.name == "postgres"
        folder.mkdir(exist_ok=True, mode=0o700)
        folder.chmod(0o755 if is_foreign else 0o700)
        for name, text in content.items():
            write(folder / name, text, 0o644 if is_foreign else 0o600)

    def _hand_over(self) -> None:
        if os.getuid() == 0:
            for path in (*self._kept, *(self.folder / "secrets").rglob("*")):
                os.chown(path, *self.user)


def _files(secrets: Credentials, services: Iterable[str]) -> dict[str, dict[str, str]]:
    """The files of each container but its certificates."""
    made: dict[str, dict[str, str]] = {EDGE: {}}
    sql = ["SET log_min_error_statement = panic; -- no password in a log\n"]
    for name in services:
        database, serving, owning = f"weft_{name}", secrets.serving_password(name), secrets.owner_password(name)
        own = {
            "weft_database_url": f"postgresql://{database}:{serving}@{_POSTGRES}",
            "weft_redis_url": f"redis://:{secrets.redis_password}@valkey:6379",
            "weft_data_keys": json.dumps(secrets.data_keys(name)),
            "weft_smtp_url": f"smtp://weft:{secrets.mail_password}@mail:1025?starttls=off",
            "weft_sms_url": f"http://{sms_sink.ACCOUNT}:{secrets.sms_password}@texts:8025",
            "weft_vapid_key": secrets.vapid_key,
            "weft_sendgrid_event_keys": json.dumps([public_key(secrets.event_key)]),
        }
        made[name] = own
        made[f"{name}-owner"] = {**own, "weft_database_url": f"postgresql://{database}_owner:{owning}@{_POSTGRES}"}
        made[f"{name}-first"] = {
            **own,
            "weft_operator_email": secrets.operator_email,
            "weft_operator_password": secrets.operator_password,
            "weft_partner_client_id": secrets.partner_client_id,
            "weft_partner_client_secret": secrets.partner_client_secret,
        }
        sql += [
            _DATABASE.format(role=database, inherit="NOINHERIT", password=serving),
            _DATABASE.format(role=f"{database}_owner", inherit="INHERIT", password=owning),
            _OWNED.format(name=database),
        ]
    made["databases"] = {
        "databases.sql": "".join(sql),
        "passwords": f"{_POSTGRES}:*:postgres:{secrets.database_password}\n",
    }
    made["postgres"] = {"password": secrets.database_password}
    made["valkey"] = {"valkey.conf": _VALKEY.format(password=secrets.redis_password)}
    made["sinks"] = {
        "weft_mail_password": secrets.mail_password,
        "weft_sms_password": secrets.sms_password,
        "weft_push_password": secrets.push_password,
        "weft_webhook_password": secrets.webhook_password,
        "weft_event_key": secrets.event_key,
    }
    return made


def _certificate(certificates: Certificates, name: str, file: str) -> dict[str, str]:
    return {
        f"{file}.crt": certificates.certificate(name).read_text(),
        f"{file}.key": certificates.key(name).read_text(),
    }
