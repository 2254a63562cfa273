"""Every query on partners, their clients and the clients' secrets, which are stored as keyed hashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Table, Text, any_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction, newest_first
from services.user.ownership import ClientOwner, of_partner_in
from services.user.partners.domain import SECRET_OVERLAP, Client, Partner, Secret, minute
from services.user.partners.tables import client_assertions, client_secrets, clients, partners

_p, _c, _s = partners.c, clients.c, client_secrets.c

_by_id = select(partners).where(_p.partner_id == bindparam("partner_id"))
_GET = Query(_by_id, name="get partner")
_LIST = Query(newest_first(select(partners), _p.partner_id), name="list partners")
_LOCK = Query(_by_id.with_for_update(), name="lock partner")
_INSERT = Query(
    insert(partners).values({column.name: bindparam(column.name) for column in partners.columns}), name="insert partner"
)
_UPDATED = ("display_name", "plan", "scopes", "state", "revision", "updated_at")
_UPDATE = Query(
    update(partners).where(_p.partner_id == bindparam("id")).values({name: bindparam(name) for name in _UPDATED}),
    name="update partner",
)
_client_by_id = select(clients).where(_c.client_id == bindparam("client_id"), of_partner_in(clients))
_LIST_CLIENTS = Query(newest_first(select(clients).where(of_partner_in(clients)), _c.client_id), name="list clients")
_LOCK_CLIENT = Query(_client_by_id.with_for_update(), name="lock client")
_INSERT_CLIENT = Query(
    insert(clients).values({column.name: bindparam(column.name) for column in clients.columns}), name="insert client"
)
_UPDATED_CLIENT = (
    "display_name",
    "scopes",
    "authentication",
    "grant_types",
    "redirect_uris",
    "jwks",
    "allowed_networks",
    "revision",
)
_UPDATE_CLIENT = Query(
    update(clients)
    .where(_c.client_id == bindparam("id"), of_partner_in(clients))
    .values({name: bindparam(name) for name in _UPDATED_CLIENT}),
    name="update client",
)
_REVOKE_CLIENT = Query(
    update(clients)
    .where(_c.client_id == bindparam("id"), of_partner_in(clients))
    .values(revoked_at=func.coalesce(_c.revoked_at, bindparam("now"))),
    name="revoke client",
)
# any owner: of a client that has just proven its secret
_UPDATE_LAST_USE = Query(
    update(clients).where(_c.client_id == bindparam("id")).values(last_used_at=bindparam("minute")),
    name="update last use",
)
_works = _s.expires_at.is_(None) | (_s.expires_at > bindparam("now"))
_LIST_SECRETS = Query(
    select(_s.client_id, _s.created_at, _s.expires_at)
    .where(_s.client_id == any_(bindparam("client_ids", type_=ARRAY(Text))), _works)
    .order_by(_s.created_at.desc(), _s.expires_at.desc().nulls_first()),
    name="list secrets",
)
_INSERT_SECRET = Query(
    insert(client_secrets).values(
        client_id=bindparam("client_id"),
        secret_hash=bindparam("secret_hash"),
        created_at=bindparam("now"),
        expires_at=bindparam("end"),
    ),
    name="insert secret",
)
_EXPIRE_SECRETS = Query(
    update(client_secrets)
    .where(_s.client_id == bindparam("id"))
    .values(expires_at=func.least(_s.expires_at, bindparam("end"))),
    name="expire secrets",
)
_newest = (
    select(_s.secret_hash)
    .where(_s.client_id == bindparam("id"), _works)
    .order_by(_s.created_at.desc(), _s.expires_at.desc().nulls_first())
    .limit(1)
)
_DELETE_OLDER_SECRETS = Query(
    delete(client_secrets).where(_s.client_id == bindparam("id"), _s.secret_hash.not_in(_newest)),
    name="delete older secrets",
)
_DELETE_SECRETS = Query(delete(client_secrets).where(_s.client_id == bindparam("id")), name="delete secrets")
_secrets = (
    select(func.array_agg(_s.secret_hash))
    .where(_s.client_id == _c.client_id, _s.expires_at.is_(None) | (_s.expires_at > bindparam("now")))
    .scalar_subquery()
)
_USE_ASSERTION = Query(
    insert(client_assertions)
    .values(assertion_hash=bindparam("assertion_hash"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(),
    name="use assertion",
)
# any owner: the token endpoint authenticates the client itself
_GET_ACCOUNT = Query(
    select(
        clients,
        _p.plan,
        _p.state.label("partner_state"),
        _p.scopes.label("partner_scopes"),
        _p.token_generation.label("partner_generation"),
        _secrets.label("secret_hashes"),
    )
    .join_from(clients, partners, _p.partner_id == _c.partner_id)
    .where(_c.client_id == bindparam("client_id")),
    name="get client",
)


@dataclass(frozen=True, slots=True)
class ClientAccount:
    """What the token endpoint needs: a client, its partner's state, plan and scopes, and the hashes of its valid secrets."""

    client: Client
    plan: str
    partner_state: str
    partner_scopes: tuple[str, ...]
    partner_generation: int
    secret_hashes: tuple[bytes, ...]


class PartnerRepository:
    """Partners, their clients and the clients' secrets."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def get(self, partner_id: str) -> Partner | None:
        row = await self._database.first(_GET, partner_id=partner_id)
        return _read_partner(row) if row else None

    async def list(self, limit: int, after: str) -> Sequence[Partner]:
        """Up to `limit` partners older than `after`, newest first."""
        return [_read_partner(row) for row in await self._database.all(_LIST, limit=limit, after=after)]

    async def lock(self, tx: Transaction, partner_id: str) -> Partner | None:
        """A partner, locked until the transaction ends."""
        row = await tx.first(_LOCK, partner_id=partner_id)
        return _read_partner(row) if row else None

    async def insert(self, tx: Transaction, partner: Partner) -> None:
        await tx.run(_INSERT, **_values(partners, partner))

    async def update(self, tx: Transaction, partner: Partner) -> None:
        """Store a locked partner."""
        await tx.run(_UPDATE, id=partner.partner_id, **_values(partners, partner))

    async def list_clients(self, owner: ClientOwner, limit: int, after: str) -> Sequence[Client]:
        """Up to `limit` of the owner's clients older than `after`, newest first."""
        rows = await self._database.all(_LIST_CLIENTS, limit=limit, after=after, **owner.values)
        return [_read_client(row) for row in rows]

    async def lock_client(self, tx: Transaction, owner: ClientOwner, client_id: str) -> Client | None:
        """The owner's client, locked until the transaction ends."""
        row = await tx.first(_LOCK_CLIENT, client_id=client_id, **owner.values)
        return _read_client(row) if row else None

    async def insert_client(self, tx: Transaction, client: Client) -> None:
        """Insert a client; its secret is inserted separately."""
        await tx.run(_INSERT_CLIENT, **_values(clients, client))

    async def update_client(self, tx: Transaction, client: Client) -> None:
        """Store a locked client. Without a secret it has no use for those that it has: they are deleted."""
        await tx.run(_UPDATE_CLIENT, id=client.client_id, modes=[client.mode], **_values(clients, client))
        if not client.takes_secrets:
            await tx.run(_DELETE_SECRETS, id=client.client_id)

    async def revoke_client(self, tx: Transaction, client: Client, now: datetime) -> None:
        """Revoke a locked client. One that is revoked already keeps its time."""
        values = {"id": client.client_id, "partner_id": client.partner_id, "modes": [client.mode]}
        await tx.run(_REVOKE_CLIENT, **values, now=now)

    async def list_secrets(
        self, tx: Transaction | Database, client_ids: Sequence[str], now: datetime
    ) -> dict[str, tuple[Secret, ...]]:
        """The secrets of clients that work, newest first."""
        found: dict[str, tuple[Secret, ...]] = dict.fromkeys(client_ids, ())
        for row in await tx.all(_LIST_SECRETS, client_ids=[*client_ids], now=now):
            found[row.client_id] += (Secret(row.created_at, row.expires_at),)
        return found

    async def insert_secret(
        self, tx: Transaction, client_id: str, secret: str, now: datetime, end: datetime | None = None
    ) -> None:
        """Insert a secret that works until `end`; of the others the newest works until `SECRET_OVERLAP` ends."""
        await tx.run(_DELETE_OLDER_SECRETS, id=client_id, now=now)
        await tx.run(_EXPIRE_SECRETS, id=client_id, end=now + SECRET_OVERLAP)
        await self._insert_secret(tx, client_id, secret, now, end)

    async def replace_secrets(
        self, tx: Transaction, client_id: str, secret: str, now: datetime, end: datetime | None = None
    ) -> None:
        """Insert a secret that works until `end`; previous ones stop working immediately."""
        await tx.run(_DELETE_SECRETS, id=client_id)
        await self._insert_secret(tx, client_id, secret, now, end)

    async def _insert_secret(
        self, tx: Transaction, client_id: str, secret: str, now: datetime, end: datetime | None
    ) -> None:
        secret_hash = self.hash_secret(secret)
        await tx.run(_INSERT_SECRET, client_id=client_id, secret_hash=secret_hash, now=now, end=end)

    async def get_account(self, client_id: str, now: datetime) -> ClientAccount | None:
        """A client with its partner's state and the secrets that are valid now."""
        row = await self._database.first(_GET_ACCOUNT, client_id=client_id, now=now)
        if row is None:
            return None
        hashes = tuple(bytes(secret_hash) for secret_hash in row.secret_hashes or ())
        scopes = tuple(row.partner_scopes)
        return ClientAccount(_read_client(row), row.plan, row.partner_state, scopes, row.partner_generation, hashes)

    async def update_last_use(self, client: Client, now: datetime) -> None:
        """Store when a client got a token, to the minute; writes at most once a minute."""
        if client.last_used_at is None or client.last_used_at < minute(now):
            await self._database.run(_UPDATE_LAST_USE, id=client.client_id, minute=minute(now))

    async def use_assertion(self, assertion_hash: bytes, expires_at: datetime) -> bool:
        """Returns whether an assertion is used for the first time."""
        values = {"assertion_hash": assertion_hash, "expires_at": expires_at}
        return await self._database.run(_USE_ASSERTION, **values) == 1

    def hash_secret(self, secret: str) -> bytes:
        """A keyed hash. Secrets are 256 random bits and need no slow hash."""
        return self._vault.lookup(secret, "client.secret")


def _read_partner(row: Row) -> Partner:
    values = {c.name: getattr(row, c.name) for c in partners.columns}
    return Partner(**{**values, "scopes": tuple(row.scopes)})


def _read_client(row: Row) -> Client:
    read: dict[str, Any] = {c.name: getattr(row, c.name) for c in clients.columns}
    lists = {name: tuple(value) for name, value in read.items() if isinstance(value, list)}
    return Client(**{**read, **lists})


def _values(table: Table, thing: Partner | Client) -> dict[str, Any]:
    values = {column.name: getattr(thing, column.name) for column in table.columns}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
