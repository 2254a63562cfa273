"""Every query on one-time codes and recovery codes. Secrets are encrypted; recovery codes are stored as keyed hashes."""

from datetime import datetime

from sqlalchemy import bindparam, case, delete, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction
from services.user.ownership import of_user
from services.user.totp.domain import DAY, MAX_ENROLMENT_ATTEMPTS, Factor, normal_recovery_code
from services.user.totp.tables import SECRET, recovery_codes, totp_enrolments, totp_factors

_f, _e, _r = totp_factors.c, totp_enrolments.c, recovery_codes.c
_remaining = select(func.count()).select_from(recovery_codes).where(of_user(recovery_codes)).scalar_subquery()
_GET = Query(select(totp_factors, _remaining.label("remaining")).where(of_user(totp_factors)), name="get totp")
_upsert = insert(totp_factors).values(
    user_id=bindparam("user_id"),
    secret_sealed=bindparam("secret_sealed"),
    last_step=bindparam("step"),
    created_at=bindparam("now"),
)
_ENABLE = Query(
    _upsert.on_conflict_do_update(
        index_elements=["user_id"],
        set_={
            **{name: _upsert.excluded[name] for name in ("secret_sealed", "last_step", "created_at")},
            "failures": 0,
            "failures_since": null(),
        },
    ),
    name="enable totp",
)
# The step is the lock: of two calls with the same code, on any replica, one finds it unused.
_USE_STEP = Query(
    update(totp_factors)
    .where(of_user(totp_factors), _f.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), failures=0, failures_since=null()),
    name="use one-time code",
)
_recent = _f.failures_since > bindparam("since")
_COUNT_FAILURE = Query(
    update(totp_factors)
    .where(of_user(totp_factors))
    .values(
        failures=case((_recent, _f.failures + 1), else_=1),
        failures_since=case((_recent, _f.failures_since), else_=bindparam("now")),
    )
    .returning(_f.failures),
    name="count wrong code",
)
_DISABLE = Query(delete(totp_factors).where(of_user(totp_factors)), name="disable totp")
_enrol = insert(totp_enrolments).values(
    user_id=bindparam("user_id"),
    session_id=bindparam("session_id"),
    secret_sealed=bindparam("secret_sealed"),
    attempts=0,
    expires_at=bindparam("expires_at"),
)
_ENROL = Query(
    _enrol.on_conflict_do_update(
        index_elements=["user_id"],
        set_={name: _enrol.excluded[name] for name in ("session_id", "secret_sealed", "attempts", "expires_at")},
    ),
    name="enrol totp",
)
# An attempt is counted before the code is compared, so that concurrent attempts are five at most.
_COUNT_ATTEMPT = Query(
    update(totp_enrolments)
    .where(
        of_user(totp_enrolments),
        _e.session_id == bindparam("session"),
        _e.attempts < MAX_ENROLMENT_ATTEMPTS,
        _e.expires_at > bindparam("now"),
    )
    .values(attempts=_e.attempts + 1)
    .returning(_e.secret_sealed),
    name="count attempt of enrolment",
)
_END_ENROLMENT = Query(
    delete(totp_enrolments).where(of_user(totp_enrolments), _e.secret_sealed == bindparam("secret_sealed")),
    name="end enrolment",
)
_END_ENROLMENTS = Query(delete(totp_enrolments).where(of_user(totp_enrolments)), name="end enrolments")
_INSERT_CODE = Query(
    insert(recovery_codes).values(user_id=bindparam("user_id"), code_hash=bindparam("code_hash")),
    name="insert recovery code",
)
_USE_CODE = Query(
    delete(recovery_codes).where(of_user(recovery_codes), _r.code_hash == bindparam("code_hash")),
    name="use recovery code",
)
_DELETE_CODES = Query(delete(recovery_codes).where(of_user(recovery_codes)), name="delete recovery codes")


class TotpRepository:
    """Authenticator apps of users, and their recovery codes."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def get(self, user_id: str) -> Factor | None:
        """The app of a user; None where one-time codes are not enabled."""
        row = await self._database.first(_GET, user_id=user_id)
        return self._read(row) if row else None

    async def get_in(self, tx: Transaction, user_id: str) -> Factor | None:
        """The same, as the transaction sees it."""
        row = await tx.first(_GET, user_id=user_id)
        return self._read(row) if row else None

    async def use_step(self, tx: Transaction, user_id: str, step: int) -> bool:
        """Use up the codes up to a step; false where they were used already."""
        return await tx.run(_USE_STEP, user_id=user_id, step=step) == 1

    async def use_recovery_code(self, tx: Transaction, user_id: str, code: str) -> bool:
        """Use up a recovery code; true for only one of several concurrent callers."""
        return await tx.run(_USE_CODE, user_id=user_id, code_hash=self._hash(user_id, code)) == 1

    async def count_failure(self, tx: Transaction, user_id: str, now: datetime) -> int:
        """Count a wrong code; returns how many there were in the day that began with the first."""
        row = await tx.first(_COUNT_FAILURE, user_id=user_id, now=now, since=now - DAY)
        return int(row.failures) if row else 0

    async def enrol(self, tx: Transaction, user_id: str, session_id: str, secret: bytes, expires_at: datetime) -> None:
        """Store a secret that waits for its first code, in place of an earlier one."""
        sealed = self._vault.seal(secret, SECRET)
        await tx.run(_ENROL, user_id=user_id, session_id=session_id, secret_sealed=sealed, expires_at=expires_at)

    async def count_attempt(self, user_id: str, session_id: str, now: datetime) -> tuple[bytes, bytes] | None:
        """Count an attempt of the enrolment of a session: its secret, and as it is sealed; None where there is none."""
        row = await self._database.first(_COUNT_ATTEMPT, user_id=user_id, session=session_id, now=now)
        return (self._vault.open(row.secret_sealed, SECRET), row.secret_sealed) if row else None

    async def enable(
        self, tx: Transaction, user_id: str, sealed: bytes, step: int, codes: list[str], now: datetime
    ) -> bool:
        """Put the secret of an enrolment and new recovery codes in place; false where the enrolment has ended meanwhile."""
        if await tx.run(_END_ENROLMENT, user_id=user_id, secret_sealed=sealed) == 0:
            return False
        await tx.run(_ENABLE, user_id=user_id, secret_sealed=sealed, step=step, now=now)
        await tx.run(_DELETE_CODES, user_id=user_id)
        for code in codes:
            await tx.run(_INSERT_CODE, user_id=user_id, code_hash=self._hash(user_id, code))
        return True

    async def disable(self, tx: Transaction, user_id: str) -> bool:
        """Delete everything of a user; returns whether one-time codes were enabled."""
        await tx.run(_END_ENROLMENTS, user_id=user_id)
        await tx.run(_DELETE_CODES, user_id=user_id)
        return await tx.run(_DISABLE, user_id=user_id) == 1

    def _read(self, row: Row) -> Factor:
        return Factor(
            secret=self._vault.open(row.secret_sealed, SECRET),
            last_step=row.last_step,
            failures=row.failures,
            failures_since=row.failures_since,
            created_at=row.created_at,
            remaining=row.remaining,
        )

    def _hash(self, user_id: str, code: str) -> bytes:
        return self._vault.lookup(f"{user_id} {normal_recovery_code(code)}", "user.recovery_code")
