"""Every query on authorization codes and consents. Codes are stored as hashes only."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.storage.database import Database, Query, Transaction, newest_first
from services.user.consents.domain import MAX_CODES, Code, Consent, digest
from services.user.consents.tables import authorization_codes, consents
from services.user.keys.authentication import Authentication
from services.user.ownership import of_user
from services.user.partners.tables import clients

_a, _c = authorization_codes.c, consents.c

_INSERT_CODE = Query(
    insert(authorization_codes).values({column.name: bindparam(column.name) for column in authorization_codes.columns}),
    name="insert authorization code",
)
_surplus_codes = (
    select(_a.code_hash)
    .where(of_user(authorization_codes), _a.used_at.is_(None))
    .order_by(_a.created_at.desc())
    .offset(MAX_CODES)
    .limit(1000)
)
_DELETE_CODES = Query(
    delete(authorization_codes).where(_a.code_hash.in_(_surplus_codes)), name="delete oldest authorization codes"
)
# any owner: the code is presented
_GET_USER = Query(select(_a.user_id).where(_a.code_hash == bindparam("code_hash")), name="get user of code")
# any owner: the code is presented
_LOCK_CODE = Query(
    select(authorization_codes).where(_a.code_hash == bindparam("code_hash")).with_for_update(),
    name="lock authorization code",
)
# any owner: the code is presented
_USE_CODE = Query(
    update(authorization_codes)
    .where(_a.code_hash == bindparam("hash"))
    .values(used_at=bindparam("now"), session_id=bindparam("session")),
    name="use authorization code",
)
_GET_CONSENT = Query(
    select(_c.scopes).where(of_user(consents), _c.client_id == bindparam("client_id")), name="get consent"
)
_consents = (
    select(consents, clients.c.display_name)
    .join_from(consents, clients, clients.c.client_id == _c.client_id)
    .where(of_user(consents))
)
_LIST_CONSENTS = Query(newest_first(_consents, _c.client_id), name="list consents")
_DELETE_CONSENT = Query(
    delete(consents).where(of_user(consents), _c.client_id == bindparam("client_id")), name="delete consent"
)
_DELETE_CODES_OF_APP = Query(
    delete(authorization_codes).where(
        of_user(authorization_codes), _a.client_id == bindparam("client_id"), _a.used_at.is_(None)
    ),
    name="delete authorization codes",
)
_upsert = insert(consents).values({column.name: bindparam(column.name) for column in consents.columns})
_UPSERT_CONSENT = Query(
    _upsert.on_conflict_do_update(
        index_elements=["user_id", "client_id"],
        set_={"scopes": _upsert.excluded.scopes, "updated_at": _upsert.excluded.updated_at},
    ),
    name="upsert consent",
)


class ConsentRepository:
    """Authorization codes and consents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_user(self, tx: Transaction, code: str) -> str:
        """Whose code it is: their row is locked before the code. Empty for an unknown code."""
        row = await tx.first(_GET_USER, code_hash=digest(code))
        return row.user_id if row else ""

    async def lock_code(self, tx: Transaction, code: str) -> Code | None:
        """An issued code, locked until the transaction ends."""
        row = await tx.first(_LOCK_CODE, code_hash=digest(code))
        if row is None:
            return None
        return Code(
            code_hash=bytes(row.code_hash),
            client_id=row.client_id,
            user_id=row.user_id,
            redirect_uri=row.redirect_uri,
            code_challenge=row.code_challenge,
            scopes=tuple(row.scopes),
            nonce=row.nonce,
            authentication=Authentication(tuple(row.amr), row.authenticated_at),
            generation=row.generation,
            expires_at=row.expires_at,
            used_at=row.used_at,
            session_id=row.session_id,
        )

    async def insert_code(self, tx: Transaction, code: Code, now: datetime) -> None:
        """Insert a code; above `MAX_CODES` unused ones of a user the oldest are deleted."""
        values = asdict(code) | {"scopes": list(code.scopes), "created_at": now}
        authentication = code.authentication
        del values["authentication"]
        await tx.run(_INSERT_CODE, **values, amr=list(authentication.methods), authenticated_at=authentication.at)
        await tx.run(_DELETE_CODES, user_id=code.user_id)

    async def use_code(self, tx: Transaction, code: Code, session_id: str | None, now: datetime) -> None:
        """Mark a locked code as used, with the session that came of it."""
        await tx.run(_USE_CODE, hash=code.code_hash, session=session_id, now=now)

    async def get_consent(self, tx: Transaction, user_id: str, client_id: str) -> tuple[str, ...]:
        """The scopes that a user, who is locked, has allowed a client."""
        row = await tx.first(_GET_CONSENT, user_id=user_id, client_id=client_id)
        return tuple(row.scopes) if row else ()

    async def list_consents(self, user_id: str, limit: int, after: str) -> Sequence[Consent]:
        """Up to `limit` consents of a user to clients older than `after`, the newest client first."""
        rows = await self._database.all(_LIST_CONSENTS, user_id=user_id, limit=limit, after=after)
        return [
            Consent(row.client_id, row.display_name, tuple(row.scopes), row.created_at, row.updated_at) for row in rows
        ]

    async def upsert_consent(
        self, tx: Transaction, user_id: str, client_id: str, scopes: tuple[str, ...], now: datetime
    ) -> None:
        """Store what a user allows a client."""
        values = {"user_id": user_id, "client_id": client_id, "scopes": list(scopes)}
        await tx.run(_UPSERT_CONSENT, **values, created_at=now, updated_at=now)

    async def delete_consent(self, tx: Transaction, user_id: str, client_id: str) -> bool:
        """Delete the consent of a user, who is locked, and the unused codes that came of it; returns whether there was one."""
        await tx.run(_DELETE_CODES_OF_APP, user_id=user_id, client_id=client_id)
        return await tx.run(_DELETE_CONSENT, user_id=user_id, client_id=client_id) == 1
