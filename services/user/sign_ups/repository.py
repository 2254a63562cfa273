"""Every query on pending sign-ups. One is known by its address and password: who asks twice has one, and strangers who
ask for the same address have their own.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Text, and_, bindparam, case, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Transaction
from services.user.accounts.tables import sign_ups
from services.user.sign_ups.domain import CODE_ATTEMPTS, LIFE, MAILS, Letter, SignUp
from services.user.users.domain import INITIAL, fold
from services.user.users.repository import DISPLAY_NAME, EMAIL
from services.user.users.tables import users

_s, _u = sign_ups.c, users.c
_ASK = insert(sign_ups).values(
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
_over = _s.expires_at <= _ASK.excluded.created_at
ASK = Query(
    _ASK.on_conflict_do_update(
        index_elements=["email_lookup", "password_hash"],
        set_={
            # One that has ended and was not yet deleted is a new one.
            "sign_up_id": case((_over, _ASK.excluded.sign_up_id), else_=_s.sign_up_id),
            "mails": case((_over, 1), else_=_s.mails + 1),
            **{name: _ASK.excluded[name] for name in ("display_name_sealed", "locale", "network", "expires_at")},
        },
    ).returning(_s.sign_up_id, _s.mails),
    name="ask for account",
)
_password_hash = bindparam("password_hash", type_=Text)
_asked_again = (
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
ASK_AGAIN = Query(
    update(sign_ups)
    .where(_s.sign_up_id == _asked_again, _s.mails < MAILS)
    .values(mails=_s.mails + 1)
    .returning(_s.sign_up_id, _s.mails),
    name="ask for mail",
)
ADDRESSEE = Query(
    select(_s.email_sealed, _s.locale, _u.state, _u.locale.label("locale_of_user"))
    .join_from(sign_ups, users, and_(_u.email_lookup == _s.email_lookup, _u.partner_id.is_(None)), isouter=True)
    .where(_s.sign_up_id == bindparam("sign_up_id"), _s.expires_at > bindparam("now")),
    name="find addressee",
)
PUT_CODE = Query(
    update(sign_ups)
    .where(_s.sign_up_id == bindparam("id"))
    .values(
        code_hash=bindparam("code_hash"),
        code_expires_at=bindparam("expires_at"),
        expires_at=bindparam("expires_at"),
        attempts=0,
    ),
    name="put code",
)
# An attempt counts before it is looked at, so that many at once are no more than five.
TRY_CODE = Query(
    update(sign_ups)
    .where(
        _s.email_lookup == bindparam("lookup"),
        _s.password_hash == bindparam("hash"),
        _s.attempts < CODE_ATTEMPTS,
        _s.code_expires_at > bindparam("now"),
    )
    .values(attempts=_s.attempts + 1)
    .returning(_s.sign_up_id, _s.code_hash, _s.email_sealed, _s.display_name_sealed, _s.locale, _s.network),
    name="try code",
)
TAKE = Query(
    delete(sign_ups).where(_s.sign_up_id == bindparam("sign_up_id"), _s.code_hash == bindparam("code_hash")),
    name="take sign-up",
)
_others = select(_s.sign_up_id).where(_s.email_lookup == bindparam("email_lookup")).limit(1000)
END_OTHERS = Query(delete(sign_ups).where(_s.sign_up_id.in_(_others)), name="end other sign-ups")


class Asked(NamedTuple):
    """A pending sign-up that a mail is asked for: how many that makes."""

    sign_up_id: str
    mails: int


class SignUpRepository:
    """Pending sign-ups, as their table keeps them."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def salt(self, email: str) -> bytes:
        """What passwords of an address are hashed with here, so that the hash is found again."""
        return self._vault.lookup(fold(email), "sign_up.salt")[:16]

    async def ask(self, tx: Transaction, sign_up: SignUp, now: datetime) -> Asked:
        """Keep a pending sign-up, or ask once more for the one with this address and password."""
        row = await tx.one(
            ASK,
            sign_up_id=sign_up.sign_up_id,
            email_sealed=self._vault.seal(sign_up.email.encode(), EMAIL),
            email_lookup=self._lookup(sign_up.email),
            display_name_sealed=self._vault.seal(sign_up.display_name.encode(), DISPLAY_NAME),
            locale=sign_up.locale,
            password_hash=sign_up.password_hash,
            network=sign_up.network,
            now=now,
            expires_at=now + LIFE,
        )
        return Asked(row.sign_up_id, row.mails)

    async def ask_again(
        self, tx: Transaction, email: str, password_hash: str, network: bytes, now: datetime
    ) -> Asked | None:
        """The pending sign-up with a password, or without one the newest from a network, if it may have one more mail."""
        row = await tx.first(
            ASK_AGAIN, email_lookup=self._lookup(email), password_hash=password_hash, network=network, now=now
        )
        return Asked(row.sign_up_id, row.mails) if row else None

    async def addressee(self, sign_up_id: str, now: datetime) -> tuple[Letter, bool] | None:
        """Where the mail of a pending sign-up goes, and whether the address has an account."""
        row = await self._database.first(ADDRESSEE, sign_up_id=sign_up_id, now=now)
        if row is None:
            return None
        has_account = row.state not in (None, INITIAL)
        email = self._vault.open(row.email_sealed, EMAIL).decode()
        return Letter(email, row.locale_of_user if has_account else row.locale), has_account

    async def put_code(self, sign_up_id: str, code: str, expires_at: datetime) -> bool:
        """Keep a code's hash in the place of the one before; whether the sign-up is still pending."""
        values = {"id": sign_up_id, "code_hash": self._hash(sign_up_id, code), "expires_at": expires_at}
        return await self._database.run(PUT_CODE, **values) == 1

    async def try_code(self, email: str, password_hash: str, code: str, now: datetime) -> tuple[SignUp, bytes] | None:
        """Spend an attempt of the sign-up with this address and password; with its code's hash where the code is right."""
        row = await self._database.first(TRY_CODE, lookup=self._lookup(email), hash=password_hash, now=now)
        # Hashed also where nothing was found, which costs the same time.
        given = self._hash(row.sign_up_id if row else "", code)
        if row is None or bytes(row.code_hash) != given:
            return None
        sign_up = SignUp(
            sign_up_id=row.sign_up_id,
            email=self._vault.open(row.email_sealed, EMAIL).decode(),
            display_name=self._vault.open(row.display_name_sealed, DISPLAY_NAME).decode(),
            locale=row.locale,
            password_hash=password_hash,
            network=bytes(row.network),
        )
        return sign_up, given

    async def take(self, tx: Transaction, sign_up_id: str, code_hash: bytes) -> bool:
        """Take a pending sign-up away; whether it and its code were still there, which is so for one caller only."""
        return await tx.run(TAKE, sign_up_id=sign_up_id, code_hash=code_hash) == 1

    async def end_others(self, tx: Transaction, email: str) -> None:
        """End the pending sign-ups of an address, a thousand at most: for one that is proven, no code works any more."""
        await tx.run(END_OTHERS, email_lookup=self._lookup(email))

    def _lookup(self, email: str) -> bytes:
        return self._vault.lookup(fold(email), EMAIL)

    def _hash(self, sign_up_id: str, code: str) -> bytes:
        # Keyed: eight digits without a key are found in a second.
        return self._vault.lookup(f"{sign_up_id} {code}", "user.verification_code")
