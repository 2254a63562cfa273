"""Every query on requested codes. Addresses are encrypted, codes are stored as keyed hashes."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, delete, func, null, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Transaction
from services.user.codes.domain import MAX_ATTEMPTS, REQUEST_LIFETIME, CodeRequest, Kind, normal
from services.user.codes.tables import ADDRESS, code_requests
from services.user.ownership import of_user
from services.user.users.domain import fold

_c = code_requests.c
_insert = insert(code_requests).values(
    code_request_id=bindparam("code_request_id"),
    kind=bindparam("kind"),
    requester=bindparam("requester"),
    user_id=bindparam("user_id"),
    address_sealed=bindparam("address_sealed"),
    address_lookup=bindparam("address_lookup"),
    messages=1,
    attempts=0,
    created_at=bindparam("now"),
    expires_at=bindparam("expires_at"),
)
# any owner: the requester is the user, or a stranger's network
_DELETE_EXPIRED = Query(
    delete(code_requests).where(
        _c.kind == bindparam("kind"), _c.requester == bindparam("requester"), _c.expires_at <= bindparam("now")
    ),
    name="delete expired code request",
)
_other_address = _c.address_lookup != _insert.excluded.address_lookup
# any owner: the requester is the user, or a stranger's network
_UPSERT = Query(
    _insert.on_conflict_do_update(
        index_elements=["kind", "requester"],
        set_={
            # What is on its way to another address is another request.
            "code_request_id": case((_other_address, _insert.excluded.code_request_id), else_=_c.code_request_id),
            "code_hash": case((_other_address, null()), else_=_c.code_hash),
            "code_expires_at": case((_other_address, null()), else_=_c.code_expires_at),
            "messages": _c.messages + 1,
            **{name: _insert.excluded[name] for name in ("address_sealed", "address_lookup", "expires_at")},
        },
    ).returning(_c.code_request_id, _c.messages),
    name="upsert code request",
)
# any owner: the message goes to the address of the request, whoever has it
_GET = Query(
    select(_c.kind, _c.user_id, _c.address_sealed).where(
        _c.code_request_id == bindparam("id"), _c.expires_at > bindparam("now")
    ),
    name="get code request",
)
# any owner: for the message that is about to be sent
_UPDATE_CODE = Query(
    update(code_requests)
    .where(_c.code_request_id == bindparam("id"))
    .values(
        code_hash=bindparam("code_hash"),
        code_expires_at=bindparam("until"),
        expires_at=func.greatest(_c.expires_at, bindparam("until")),
        attempts=0,
    ),
    name="update requested code",
)
# any owner: who knows the code is who received the message
_FIND = Query(
    select(_c.code_request_id, _c.code_hash).where(
        _c.kind == bindparam("kind"),
        _c.address_lookup == bindparam("address_lookup"),
        _c.code_hash == bindparam("code_hash"),
        _c.code_expires_at > bindparam("now"),
    ),
    name="find request by code",
)
# An attempt is counted before the code is compared, so that concurrent attempts are five at most.
_COUNT_ATTEMPT = Query(
    update(code_requests)
    .where(
        of_user(code_requests),
        _c.kind == bindparam("purpose"),
        _c.attempts < MAX_ATTEMPTS,
        _c.code_expires_at > bindparam("now"),
    )
    .values(attempts=_c.attempts + 1)
    .returning(_c.code_request_id, _c.code_hash, _c.address_sealed),
    name="count attempt of requested code",
)
# any owner: the request was found by its code
_DELETE = Query(
    delete(code_requests).where(
        _c.code_request_id == bindparam("id"),
        _c.code_hash == bindparam("code_hash"),
        _c.code_expires_at > bindparam("now"),
    ),
    name="use requested code",
)
_to_address = and_(_c.kind == Kind.PASSWORD_RESET.value, _c.address_lookup == bindparam("address_lookup"))
_proof = and_(of_user(code_requests), _c.kind != Kind.EMAIL_CHANGED.value)  # who was to be told is still told
_void = select(_c.code_request_id).where(or_(_proof, _to_address)).limit(1000)
# any owner: those that strangers made for the address of a user who is erased
_DELETE_TO_ADDRESS = Query(
    delete(code_requests).where(
        or_(_c.kind == Kind.PASSWORD_RESET.value, _c.kind == Kind.INVITATION.value),
        _c.address_lookup == bindparam("address_lookup"),
    ),
    name="delete code requests to an address",
)
_DELETE_ALL = Query(delete(code_requests).where(_c.code_request_id.in_(_void)), name="delete code requests")


class RequestedMessage(NamedTuple):
    """A request that a message was asked for, and how many its messages are with this one."""

    code_request_id: str
    messages: int


class FoundCode(NamedTuple):
    """A request whose code was presented, and what it proves. `use` it in the transaction of what it allows."""

    code_request_id: str
    code_hash: bytes
    address: str


class CodeRepository:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def upsert(self, tx: Transaction, request: CodeRequest, now: datetime) -> RequestedMessage:
        """Insert a request, or count one more message of the requester's last one."""
        named = {"kind": request.kind.value, "requester": request.requester}
        await tx.run(_DELETE_EXPIRED, **named, now=now)
        row = await tx.one(
            _UPSERT,
            code_request_id=request.code_request_id,
            **named,
            user_id=request.user_id or None,
            address_sealed=self._vault.seal(request.address.encode(), ADDRESS),
            address_lookup=self._lookup(request.address),
            now=now,
            expires_at=now + REQUEST_LIFETIME[request.kind],
        )
        return RequestedMessage(row.code_request_id, row.messages)

    async def get(self, code_request_id: str, now: datetime) -> CodeRequest | None:
        """A request whose message is to be sent."""
        row = await self._database.first(_GET, id=code_request_id, now=now)
        if row is None:
            return None
        address = self._vault.open(row.address_sealed, ADDRESS).decode()
        return CodeRequest(code_request_id, Kind(row.kind), "", address, row.user_id or "")

    async def update_code(self, request: CodeRequest, code: str, expires_at: datetime) -> bool:
        """Replace the code of a request; returns whether there still is one."""
        code_hash = self._hash(request.kind, request.address, code)
        return (
            await self._database.run(_UPDATE_CODE, id=request.code_request_id, code_hash=code_hash, until=expires_at)
            > 0
        )

    async def find(self, kind: Kind, address: str, code: str, now: datetime) -> FoundCode | None:
        """The request with this code; the same work if there is none."""
        row = await self._database.first(
            _FIND,
            kind=kind.value,
            address_lookup=self._lookup(address),
            code_hash=self._hash(kind, address, code),
            now=now,
        )
        return FoundCode(row.code_request_id, bytes(row.code_hash), address) if row else None

    async def attempt(self, kind: Kind, user_id: str, code: str, now: datetime) -> FoundCode | None:
        """Count an attempt of a user's request; the request if the code is correct."""
        row = await self._database.first(_COUNT_ATTEMPT, user_id=user_id, purpose=kind.value, now=now)
        if row is None:
            return None
        address = self._vault.open(row.address_sealed, ADDRESS).decode()
        if bytes(row.code_hash) != self._hash(kind, address, code):
            return None
        return FoundCode(row.code_request_id, bytes(row.code_hash), address)

    async def use(self, tx: Transaction, found: FoundCode, now: datetime) -> bool:
        """Delete a request whose code is unchanged; true for only one of several concurrent callers."""
        return await tx.run(_DELETE, id=found.code_request_id, code_hash=found.code_hash, now=now) == 1

    async def delete_all(self, tx: Transaction, user_id: str, email: str) -> None:
        """Delete up to 1000 requests of a user, and of resets for the user's address: none of their codes works any more."""
        await tx.run(_DELETE_ALL, user_id=user_id, address_lookup=self._lookup(email))

    async def delete_to_address(self, tx: Transaction, email: str) -> None:
        """Delete the resets and invitations that were requested for an address: they hold it."""
        await tx.run(_DELETE_TO_ADDRESS, address_lookup=self._lookup(email))

    def _lookup(self, address: str) -> bytes:
        return self._vault.lookup(fold(address), ADDRESS)

    def _hash(self, kind: Kind, address: str, code: str) -> bytes:
        # Keyed: a plain hash of a short code is reversed in a second.
        return self._vault.lookup(f"{kind.value} {fold(address)} {normal(code)}", "user.one_time_code")
