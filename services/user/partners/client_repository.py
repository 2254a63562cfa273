"""Every query on partners' clients and the clients' secrets, which are stored as keyed hashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Text, any_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction, newest_first
from services.user.ownership import ClientOwner, of_partner_in
from services.user.partners.domain import SECRET_OVERLAP, Client, Secret, minute
from services.user.partners.tables import client_assertions, client_secrets, clients, partners

_p, _c, _s = partners.c, clients.c, client_secrets.c

_by_id = select(clients).where(_c.client_id == bindparam("client_id"), of_partner_in(clients))
_LIST = Query(newest_first(select(clients).where(of_partner_in(clients)), _c.client_id), name="list clients")
_LOCK = Query(_by_id.with_for_update(), name="lock client")
_INSERT = Query(
    insert(clients).values({column.name: bindparam(column.name) for column in clients.columns}), name="insert client"
)
_UPDATED = (
    "display_name",
    "scopes",
    "authentication",
    "grant_types",
    "redirect_uris",
    "jwks",
    "allowed_networks",
    "revision",
)
_UPDATE = Query(
    update(clients)
    .where(_c.client_id == bindparam("id"), of_partner_in(clients))
    .values({name: bindparam(name) for name in _UPDATED}),
    name="update client",
)
_REVOKE = Query(
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


class ClientRepository:
    """Clients of partners, and their secrets."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def list(self, owner: ClientOwner, limit: int, after: str) -> Sequence[Client]:
        """Up to `limit` of the owner's clients older than `after`, newest first."""
        rows = await self._database.all(_LIST, limit=limit, after=after, **owner.values)
        return [_read(row) for row in rows]

    async def lock(self, tx: Transaction, owner: ClientOwner, client_id: str) -> Client | None:
        """The owner's client, locked until the transaction ends."""
        row = await tx.first(_LOCK, client_id=client_id, **owner.values)
        return _read(row) if row else None

    async def insert(self, tx: Transaction, client: Client) -> None:
        """Insert a client; its secret is inserted separately."""
        await tx.run(_INSERT, **_values(client))

    async def update(self, tx: Transaction, client: Client) -> None:
        """Store a locked client. Without a secret it has no use for those that it has: they are deleted."""
        await tx.run(_UPDATE, id=client.client_id, modes=[client.mode], **_values(client))
        if not client.takes_secrets:
            await tx.run(_DELETE_SECRETS, id=client.client_id)

    async def revoke(self, tx: Transaction, client: Client, now: datetime) -> None:
        """Revoke a locked client. One that is revoked already keeps its time."""
        values = {"id": client.client_id, "partner_id": client.partner_id, "modes": [client.mode]}
        await tx.run(_REVOKE, **values, now=now)

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
        return ClientAccount(_read(row), row.plan, row.partner_state, scopes, row.partner_generation, hashes)

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


def _read(row: Row) -> Client:
    """The client of a row, which may have other columns, too."""
    values = {name: value for name, value in row._asdict().items() if name in clients.c}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Client(**{**values, **lists})


def _values(client: Client) -> dict[str, Any]:
    values = {column.name: getattr(client, column.name) for column in clients.columns}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
