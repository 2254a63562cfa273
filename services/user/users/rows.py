"""Users as rows: what is personal is encrypted, and addresses and numbers have keyed hashes by which they are found."""

from typing import Any

from weft.user.v1 import user_pb2

from chassis.security import modes
from chassis.security.encryption import Vault
from chassis.storage.database import Row
from services.user.users import messages
from services.user.users.domain import DELETED, User, fold
from services.user.users.tables import DISPLAY_NAME, EMAIL, PHONE, PROFILE

_HASHED = {modes.LIVE: EMAIL, modes.TEST: "user.email.test"}
"""The context of an address's hash. One for each mode makes addresses unique within it, by the index that there was."""


class UserRows:
    """Writes and reads rows of users."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def lookup(self, email: str, mode: str = modes.LIVE) -> bytes:
        """The keyed hash by which an address is looked up; each mode has its own."""
        return self._vault.lookup(fold(email), _HASHED[mode])

    def email(self, email: str) -> dict[str, bytes]:
        """The address sealed, and its keyed hash for look-ups."""
        return {"email_sealed": self._vault.seal(email.encode(), EMAIL), "email_lookup": self.lookup(email)}

    def phone(self, phone: str) -> dict[str, bytes]:
        """The number sealed, and its keyed hash for look-ups."""
        return {
            "phone_sealed": self._vault.seal(phone.encode(), PHONE),
            "phone_lookup": self._vault.lookup(phone, PHONE),
        }

    def values(self, user: User) -> dict[str, Any]:
        """All columns; personal data sealed or hashed."""
        return {
            "user_id": user.user_id,
            "partner_id": user.partner_id or None,
            "email_sealed": self._vault.seal(user.email.encode(), EMAIL),
            "email_lookup": self.lookup(user.email, user.mode),
            "display_name_sealed": self._vault.seal(user.display_name.encode(), DISPLAY_NAME),
            **self._sealed_profile(user),
            "locale": user.locale,
            "time_zone": user.time_zone or None,
            "state": user.state,
            "external_reference": user.external_reference or None,
            "roles": list(user.roles),
            "plan": user.plan,
            "password_hash": user.password_hash or None,
            "revision": user.revision,
            "events": user.events,
            "token_generation": user.token_generation,
            "created_at": user.created_at,
            "updated_at": user.updated_at,
            "mode": user.mode,
        }

    def read(self, row: Row | None) -> User | None:
        """The user of a row; none of who was erased, of whom there is a row without a user."""
        return None if row is None or row.state == DELETED else self.read_erased(row)

    def read_erased(self, row: Row) -> User:
        """The same, also of who was erased."""
        profile = user_pb2.User()
        if row.profile_sealed:
            profile.ParseFromString(self._vault.open(row.profile_sealed, PROFILE))
        return User(
            user_id=row.user_id,
            partner_id=row.partner_id or "",
            email=self._vault.open(row.email_sealed, EMAIL).decode(),
            display_name=self._vault.open(row.display_name_sealed, DISPLAY_NAME).decode(),
            locale=row.locale,
            state=row.state,
            external_reference=row.external_reference or "",
            roles=tuple(row.roles),
            plan=row.plan,
            created_at=row.created_at,
            updated_at=row.updated_at,
            password_hash=row.password_hash or "",
            revision=row.revision,
            events=row.events,
            mode=row.mode,
            token_generation=row.token_generation,
            given_name=profile.given_name,
            family_name=profile.family_name,
            time_zone=row.time_zone or "",
            phone=self._vault.open(row.phone_sealed, PHONE).decode() if row.phone_sealed else "",
            phone_verified_at=row.phone_verified_at,
            addresses=messages.addresses_of(profile.addresses),
            metadata=dict(profile.metadata),
        )

    def _sealed_profile(self, user: User) -> dict[str, Any]:
        """The columns of what few users have: NULL where there is nothing."""
        profile = user_pb2.User(
            given_name=user.given_name or None,
            family_name=user.family_name or None,
            addresses=[messages.address_to_message(address) for address in user.addresses],
            metadata=user.metadata,
        ).SerializeToString()
        return {
            "profile_sealed": self._vault.seal(profile, PROFILE) if profile else None,
            "phone_sealed": self._vault.seal(user.phone.encode(), PHONE) if user.phone else None,
            "phone_lookup": self._vault.lookup(user.phone, PHONE) if user.phone else None,
            "phone_verified_at": user.phone_verified_at if user.phone else None,
        }
