"""Every query on partners, their clients and the clients' secrets, of which only keyed hashes are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction
from services.user.partners.domain import OVERLAP, Client, Partner, minute
from services.user.partners.tables import client_secrets, clients, partners

_p, _c, _s = partners.c, clients.c, client_secrets.c


def _page(column: ColumnElement[str], after: bool, *where: ColumnElement[bool]) -> Query:
    """A page of a table by its id, newest first."""
    beyond = [column < bindparam("after")] if after else []
    found = select(column.table).where(*where, *beyond)
    return Query(found.order_by(column.desc()).limit(bindparam("most")), name=f"list {column.table}")


ADD_PARTNER = Query(insert(partners).values({c.name: bindparam(c.name) for c in partners.columns}), name="add partner")
_PARTNER = select(partners).where(_p.partner_id == bindparam("partner_id"))
PARTNER = Query(_PARTNER, name="find partner")
LOCK_PARTNER = Query(_PARTNER.with_for_update(), name="lock partner")
PARTNERS = {after: _page(_p.partner_id, after) for after in (False, True)}
SAVE_PARTNER = Query(
    update(partners)
    .where(_p.partner_id == bindparam("id"))
    .values({name: bindparam(name) for name in ("display_name", "plan", "scopes", "state", "revision", "updated_at")}),
    name="save partner",
)
_OWN = (_c.client_id == bindparam("client_id"), _c.partner_id == bindparam("partner_id"))
ADD_CLIENT = Query(insert(clients).values({c.name: bindparam(c.name) for c in clients.columns}), name="add client")
LOCK_CLIENT = Query(select(clients).where(*_OWN).with_for_update(), name="lock client")
CLIENTS = {after: _page(_c.client_id, after, _c.partner_id == bindparam("partner_id")) for after in (False, True)}
REVOKE_CLIENT = Query(
    update(clients)
    .where(_c.client_id == bindparam("id"), _c.partner_id == bindparam("owner"))
    .values(revoked_at=func.coalesce(_c.revoked_at, bindparam("now"))),
    name="revoke client",
)
USE_CLIENT = Query(
    update(clients).where(_c.client_id == bindparam("id")).values(last_used_at=bindparam("minute")), name="use client"
)
ADD_SECRET = Query(
    insert(client_secrets).values(
        client_id=bindparam("client_id"), secret_hash=bindparam("secret_hash"), created_at=bindparam("now")
    ),
    name="add secret",
)
REPLACE_SECRETS = Query(
    update(client_secrets)
    .where(_s.client_id == bindparam("id"), _s.expires_at.is_(None))
    .values(expires_at=bindparam("end")),
    name="replace secrets",
)
DROP_SECRETS = Query(delete(client_secrets).where(_s.client_id == bindparam("id")), name="drop secrets")
_SECRETS = (
    select(func.array_agg(_s.secret_hash))
    .where(_s.client_id == _c.client_id, _s.expires_at.is_(None) | (_s.expires_at > bindparam("now")))
    .scalar_subquery()
)
ACCOUNT = Query(
    select(
        clients,
        _p.plan,
        _p.state.label("partner_state"),
        _p.scopes.label("partner_scopes"),
        _SECRETS.label("secret_hashes"),
    )
    .join_from(clients, partners, _p.partner_id == _c.partner_id)
    .where(_c.client_id == bindparam("client_id")),
    name="find client",
)


@dataclass(frozen=True, slots=True)
class Account:
    """A client as the token endpoint sees it: with its partner's state, plan and scopes, and its live secrets' hashes."""

    client: Client
    plan: str
    partner_state: str
    partner_scopes: tuple[str, ...]
    secret_hashes: tuple[bytes, ...]


class PartnerRepository:
    """Partners and clients, as tables keep them."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def add(self, tx: Transaction, partner: Partner) -> None:
        """Insert a partner."""
        values = {c.name: getattr(partner, c.name) for c in partners.columns}
        await tx.run(ADD_PARTNER, **{**values, "scopes": list(partner.scopes)})

    async def find(self, partner_id: str) -> Partner | None:
        """One partner."""
        return _partner(await self._database.first(PARTNER, partner_id=partner_id))

    async def lock(self, tx: Transaction, partner_id: str) -> Partner | None:
        """One partner, until the transaction ends."""
        return _partner(await tx.first(LOCK_PARTNER, partner_id=partner_id))

    async def list(self, most: int, after: str) -> list[Partner]:
        """At most so many, newest first, older than `after`."""
        beyond = {"after": after} if after else {}
        return [_open_partner(row) for row in await self._database.all(PARTNERS[bool(after)], most=most, **beyond)]

    async def save(self, tx: Transaction, partner: Partner) -> None:
        """Write a locked partner as it is now."""
        await tx.run(
            SAVE_PARTNER,
            id=partner.partner_id,
            display_name=partner.display_name,
            plan=partner.plan,
            scopes=list(partner.scopes),
            state=partner.state,
            revision=partner.revision,
            updated_at=partner.updated_at,
        )

    async def add_client(self, tx: Transaction, client: Client) -> None:
        """Insert a client; its secret is another row."""
        values = {c.name: getattr(client, c.name) for c in clients.columns}
        await tx.run(ADD_CLIENT, **{**values, "scopes": list(client.scopes)})

    async def lock_client(self, tx: Transaction, partner_id: str, client_id: str) -> Client | None:
        """One of a partner's clients, until the transaction ends."""
        row = await tx.first(LOCK_CLIENT, partner_id=partner_id, client_id=client_id)
        return None if row is None else _open_client(row)

    async def list_clients(self, partner_id: str, most: int, after: str) -> Sequence[Client]:
        """At most so many of a partner's clients, newest first, older than `after`."""
        values: dict[str, Any] = {"partner_id": partner_id, "most": most}
        if after:
            values["after"] = after
        return [_open_client(row) for row in await self._database.all(CLIENTS[bool(after)], **values)]

    async def revoke_client(self, partner_id: str, client_id: str, now: datetime) -> bool:
        """Revoke; whether there is such a client. One that was revoked before keeps its time."""
        return await self._database.run(REVOKE_CLIENT, id=client_id, owner=partner_id, now=now) == 1

    async def add_secret(self, tx: Transaction, client_id: str, secret: str, now: datetime) -> None:
        """A first secret, or one more: those before work until their overlap ends."""
        await tx.run(REPLACE_SECRETS, id=client_id, end=now + OVERLAP)
        await tx.run(ADD_SECRET, client_id=client_id, secret_hash=self.hash_secret(secret), now=now)

    async def set_secret(self, tx: Transaction, client_id: str, secret: str, now: datetime) -> None:
        """The only secret from now on."""
        await tx.run(DROP_SECRETS, id=client_id)
        await tx.run(ADD_SECRET, client_id=client_id, secret_hash=self.hash_secret(secret), now=now)

    async def find_account(self, client_id: str, now: datetime) -> Account | None:
        """What the token endpoint asks of a client."""
        row = await self._database.first(ACCOUNT, client_id=client_id, now=now)
        if row is None:
            return None
        hashes = tuple(bytes(one) for one in row.secret_hashes or ())
        return Account(_open_client(row), row.plan, row.partner_state, tuple(row.partner_scopes), hashes)

    async def use_client(self, client: Client, now: datetime) -> None:
        """Note that a client got a token, to the minute: at most one write in a minute."""
        if client.last_used_at is None or client.last_used_at < minute(now):
            await self._database.run(USE_CLIENT, id=client.client_id, minute=minute(now))

    def hash_secret(self, secret: str) -> bytes:
        """A keyed hash: secrets are 256 random bits and need no slow one."""
        return self._vault.lookup(secret, "client.secret")


def _partner(row: Row | None) -> Partner | None:
    return None if row is None else _open_partner(row)


def _open_partner(row: Row) -> Partner:
    values = {c.name: getattr(row, c.name) for c in partners.columns}
    return Partner(**{**values, "scopes": tuple(row.scopes)})


def _open_client(row: Row) -> Client:
    values = {c.name: getattr(row, c.name) for c in clients.columns}
    return Client(**{**values, "scopes": tuple(row.scopes)})
