"""Every query on pending sign-ups. A pending sign-up is identified by address and password: a repeated request finds its
own again, and other people who request the same address have theirs.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Text, and_, bindparam, case, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Transaction
from services.user.accounts.domain import MAX_CODE_ATTEMPTS, MAX_MAILS, SIGN_UP_LIFETIME, SignUp, VerificationMail
from services.user.accounts.tables import sign_ups
from services.user.users.domain import INITIAL, fold
from services.user.users.tables import DISPLAY_NAME, EMAIL, users

_s, _u = sign_ups.c, users.c
_insert = insert(sign_ups).values(
    sign_up_id=bindparam("sign_up_id"),
    email_sealed=bindparam("email_sealed"),
    email_lookup=bindparam("email_lookup"),
    display_name_sealed=bindparam("display_name_sealed"),
    locale=bindparam("locale"),
    password_hash=bindparam("password_hash"),
    network=bindparam("network"),
    mails=1,
    attempts=0,
    created_at=bindparam("now"),
    expires_at=bindparam("expires_at"),
)
_expired = _s.expires_at <= _insert.excluded.created_at
_UPSERT = Query(
    _insert.on_conflict_do_update(
        index_elements=["email_lookup", "password_hash"],
        set_={
            # One that has expired and is not deleted yet becomes a new one.
            "sign_up_id": case((_expired, _insert.excluded.sign_up_id), else_=_s.sign_up_id),
            "mails": case((_expired, 1), else_=_s.mails + 1),
            **{name: _insert.excluded[name] for name in ("display_name_sealed", "locale", "network", "expires_at")},
        },
    ).returning(_s.sign_up_id, _s.mails),
    name="upsert sign-up",
)
_password_hash = bindparam("password_hash", type_=Text)
_pending = (
    select(_s.sign_up_id)
    .where(
        _s.email_lookup == bindparam("email_lookup"),
        _s.expires_at > bindparam("now"),
        or_(_s.password_hash == _password_hash, and_(_password_hash == "", _s.network == bindparam("network"))),
    )
    .order_by(_s.created_at.desc(), _s.sign_up_id.desc())
    .limit(1)
    .scalar_subquery()
)
_COUNT_MAIL = Query(
    update(sign_ups)
    .where(_s.sign_up_id == _pending, _s.mails < MAX_MAILS)
    .values(mails=_s.mails + 1)
    .returning(_s.sign_up_id, _s.mails),
    name="count mail of sign-up",
)
# any owner: the mail goes to the address of the sign-up, whoever has it
_GET_RECIPIENT = Query(
    select(_s.email_sealed, _s.locale, _u.state, _u.locale.label("locale_of_user"))
    .join_from(sign_ups, users, and_(_u.email_lookup == _s.email_lookup, _u.partner_id.is_(None)), isouter=True)
    .where(_s.sign_up_id == bindparam("sign_up_id"), _s.expires_at > bindparam("now")),
    name="get recipient",
)
_UPDATE_CODE = Query(
    update(sign_ups)
    .where(_s.sign_up_id == bindparam("id"))
    .values(
        code_hash=bindparam("code_hash"),
        code_expires_at=bindparam("expires_at"),
        expires_at=bindparam("expires_at"),
        attempts=0,
    ),
    name="update code",
)
# An attempt is counted before the code is compared, so that concurrent attempts are five at most.
_COUNT_ATTEMPT = Query(
    update(sign_ups)
    .where(
        _s.email_lookup == bindparam("lookup"),
        _s.password_hash == bindparam("hash"),
        _s.attempts < MAX_CODE_ATTEMPTS,
        _s.code_expires_at > bindparam("now"),
    )
    .values(attempts=_s.attempts + 1)
    .returning(_s.sign_up_id, _s.code_hash, _s.email_sealed, _s.display_name_sealed, _s.locale, _s.network),
    name="count attempt",
)
_DELETE = Query(
    delete(sign_ups).where(_s.sign_up_id == bindparam("sign_up_id"), _s.code_hash == bindparam("code_hash")),
    name="delete sign-up",
)
_of_address = select(_s.sign_up_id).where(_s.email_lookup == bindparam("email_lookup")).limit(1000)
_DELETE_ALL = Query(delete(sign_ups).where(_s.sign_up_id.in_(_of_address)), name="delete sign-ups")


class RequestedMail(NamedTuple):
    """A pending sign-up that a mail was requested for, and how many its mails are with this one."""

    sign_up_id: str
    mails: int


class SignUpRepository:
    """Pending sign-ups; addresses and names are encrypted."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def salt(self, email: str) -> bytes:
        """The salt of an address's pending passwords: the same each time, so that the hash identifies the sign-up."""
        return self._vault.lookup(fold(email), "sign_up.salt")[:16]

    async def upsert(self, tx: Transaction, sign_up: SignUp, now: datetime) -> RequestedMail:
        """Insert a pending sign-up, or count one more mail of the one with this address and password."""
        row = await tx.one(
            _UPSERT,
            sign_up_id=sign_up.sign_up_id,
            email_sealed=self._vault.seal(sign_up.email.encode(), EMAIL),
            email_lookup=self._lookup(sign_up.email),
            display_name_sealed=self._vault.seal(sign_up.display_name.encode(), DISPLAY_NAME),
            locale=sign_up.locale,
            password_hash=sign_up.password_hash,
            network=sign_up.network,
            now=now,
            expires_at=now + SIGN_UP_LIFETIME,
        )
        return RequestedMail(row.sign_up_id, row.mails)

    async def count_mail(
        self, tx: Transaction, email: str, password_hash: str, network: bytes, now: datetime
    ) -> RequestedMail | None:
        """Count one more mail of the sign-up with a password, or if that is empty, of the newest one from a network.

        None if there is no such sign-up, or if it has had its mails.
        """
        row = await tx.first(
            _COUNT_MAIL, email_lookup=self._lookup(email), password_hash=password_hash, network=network, now=now
        )
        return RequestedMail(row.sign_up_id, row.mails) if row else None

    async def get_recipient(self, sign_up_id: str, now: datetime) -> tuple[VerificationMail, bool] | None:
        """The mail of a pending sign-up, still without a code, and whether the address has an account."""
        row = await self._database.first(_GET_RECIPIENT, sign_up_id=sign_up_id, now=now)
        if row is None:
            return None
        has_account = row.state not in (None, INITIAL)
        email = self._vault.open(row.email_sealed, EMAIL).decode()
        return VerificationMail(email, row.locale_of_user if has_account else row.locale), has_account

    async def update_code(self, sign_up_id: str, code: str, expires_at: datetime) -> bool:
        """Replace the code; returns whether the sign-up is still pending."""
        values = {"id": sign_up_id, "code_hash": self._hash(sign_up_id, code), "expires_at": expires_at}
        return await self._database.run(_UPDATE_CODE, **values) == 1

    async def check_code(self, email: str, password_hash: str, code: str, now: datetime) -> tuple[SignUp, bytes] | None:
        """Count an attempt of the sign-up with this address and password; the sign-up and its code's hash if it is correct."""
        row = await self._database.first(_COUNT_ATTEMPT, lookup=self._lookup(email), hash=password_hash, now=now)
        # Hashed also if nothing was found, so that the time is the same.
        code_hash = self._hash(row.sign_up_id if row else "", code)
        if row is None or bytes(row.code_hash) != code_hash:
            return None
        sign_up = SignUp(
            sign_up_id=row.sign_up_id,
            email=self._vault.open(row.email_sealed, EMAIL).decode(),
            display_name=self._vault.open(row.display_name_sealed, DISPLAY_NAME).decode(),
            locale=row.locale,
            password_hash=password_hash,
            network=bytes(row.network),
        )
        return sign_up, code_hash

    async def delete(self, tx: Transaction, sign_up_id: str, code_hash: bytes) -> bool:
        """Delete a sign-up that still has this code; true for only one of several concurrent callers."""
        return await tx.run(_DELETE, sign_up_id=sign_up_id, code_hash=code_hash) == 1

    async def delete_all(self, tx: Transaction, email: str) -> None:
        """Delete up to 1000 pending sign-ups of an address: once it is verified, no code works any more."""
        await tx.run(_DELETE_ALL, email_lookup=self._lookup(email))

    def _lookup(self, email: str) -> bytes:
        return self._vault.lookup(fold(email), EMAIL)

    def _hash(self, sign_up_id: str, code: str) -> bytes:
        # Keyed: a plain hash of eight digits is reversed in a second.
        return self._vault.lookup(f"{sign_up_id} {code}", "user.verification_code")
