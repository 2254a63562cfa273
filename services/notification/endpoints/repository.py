"""Every query on webhook endpoints. Their secrets are encrypted."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, false, func, insert, null, select, update

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction, constant, newest_first
from services.notification.endpoints.domain import Endpoint, Secrets
from services.notification.endpoints.tables import SECRET, webhook_endpoints, webhook_lanes
from services.notification.ownership import Owner, of_partner

_e = webhook_endpoints.c
_ROW = select(webhook_endpoints, webhook_lanes.c.failing_since).join_from(
    webhook_endpoints, webhook_lanes, webhook_lanes.c.endpoint_id == _e.endpoint_id
)
_by_id = _ROW.where(_e.endpoint_id == bindparam("endpoint_id"), of_partner(webhook_endpoints))
_GET = Query(_by_id, name="get endpoint")
_LIST = Query(newest_first(_ROW.where(of_partner(webhook_endpoints)), _e.endpoint_id), name="list endpoints")
_LOCK = Query(_by_id.with_for_update(of=webhook_endpoints), name="lock endpoint")
_COUNT = Query(select(func.count().label("endpoints")).where(of_partner(webhook_endpoints)), name="count endpoints")
_LOCK_PARTNER = Query(
    "SELECT pg_advisory_xact_lock(hashtextextended('webhook_endpoints/' || %(partner_id)s || '/' || %(mode)s, 0))",
    name="lock endpoints of partner",
)
_INSERT = Query(
    insert(webhook_endpoints).values({column.name: bindparam(column.name) for column in webhook_endpoints.columns}),
    name="insert endpoint",
)
_INSERT_LANE = Query(
    insert(webhook_lanes).values(endpoint_id=bindparam("endpoint_id")),
    name="insert lane",
)
_READ = frozenset({*(column.name for column in webhook_endpoints.columns), "failing_since"})
_UPDATED = (
    "url", "description", "event_types", "payload", "max_requests_per_second", "disable_reason", "secret", "previous_secret",
    "previous_expires_at", "version", "updated_at",
)  # fmt: skip
# any owner: of an endpoint that the transaction has locked for its owner
_UPDATE = Query(
    update(webhook_endpoints)
    .where(_e.endpoint_id == bindparam("id"))
    .values({name: bindparam(name) for name in _UPDATED}),
    name="update endpoint",
)
_RESET_HEALTH = Query(
    update(webhook_lanes)
    .where(webhook_lanes.c.endpoint_id == bindparam("id"))
    .values(
        failures=0,
        failing_since=null(),
        suspect=false(),
        paused_until=constant("-infinity"),
        due=func.now(),
    ),
    name="reset health of endpoint",
)
_DELETE = Query(
    delete(webhook_endpoints).where(_e.endpoint_id == bindparam("endpoint_id"), of_partner(webhook_endpoints)),
    name="delete endpoint",
)


class EndpointRepository:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def get(self, owner: Owner, endpoint_id: str) -> Endpoint | None:
        row = await self._database.first(_GET, endpoint_id=endpoint_id, **owner.values)
        return self.read(row) if row else None

    async def list(self, owner: Owner, limit: int, after: str) -> Sequence[Endpoint]:
        """Up to `limit` endpoints older than `after`, newest first."""
        rows = await self._database.all(_LIST, limit=limit, after=after, **owner.values)
        return [self.read(row) for row in rows]

    async def lock(self, tx: Transaction, owner: Owner, endpoint_id: str) -> Endpoint | None:
        """The owner's endpoint, locked until the transaction ends."""
        row = await tx.first(_LOCK, endpoint_id=endpoint_id, **owner.values)
        return self.read(row) if row else None

    async def count(self, tx: Transaction, partner_id: str, mode: str) -> int:
        """How many there are; nobody else creates one until the transaction ends."""
        await tx.all(_LOCK_PARTNER, partner_id=partner_id, mode=mode)
        return int((await tx.one(_COUNT, partner_id=partner_id, mode=mode)).endpoints)

    async def insert(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Insert an endpoint and its lane."""
        await tx.run(_INSERT, **self._values(endpoint))
        await tx.run(_INSERT_LANE, endpoint_id=endpoint.endpoint_id)

    async def update(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Store a locked endpoint."""
        await tx.run(_UPDATE, id=endpoint.endpoint_id, **self._values(endpoint))

    async def reset_health(self, tx: Transaction, endpoint_id: str) -> None:
        """Forget the failures of an endpoint that is enabled again."""
        await tx.run(_RESET_HEALTH, id=endpoint_id)

    async def delete(self, owner: Owner, endpoint_id: str) -> bool:
        """Delete one of the owner's; whether there was one. Its deliveries are not found any more, and expire."""
        return bool(await self._database.run(_DELETE, endpoint_id=endpoint_id, **owner.values))

    def read(self, row: Row) -> Endpoint:
        """The endpoint of a row, which may have other columns, too."""
        values: dict[str, Any] = {name: value for name, value in row._asdict().items() if name in _READ}
        secret, previous, ends = values.pop("secret"), values.pop("previous_secret"), values.pop("previous_expires_at")
        secrets = Secrets(self._open(secret), self._open(previous) if previous else "", ends)
        return Endpoint(**{**values, "event_types": tuple(row.event_types), "secrets": secrets})

    def _values(self, endpoint: Endpoint) -> dict[str, Any]:
        values = {c.name: getattr(endpoint, c.name) for c in webhook_endpoints.columns if hasattr(endpoint, c.name)}
        secrets = endpoint.secrets
        return {
            **values,
            "event_types": list(endpoint.event_types),
            "secret": self._seal(secrets.current),
            "previous_secret": self._seal(secrets.previous) if secrets.previous else None,
            "previous_expires_at": secrets.previous_expires_at,
        }

    def _seal(self, secret: str) -> bytes:
        return self._vault.seal(secret.encode(), SECRET)

    def _open(self, sealed: bytes) -> str:
        return self._vault.open(bytes(sealed), SECRET).decode()
