"""The relying party of WebAuthn: options for browsers, and the verification of what their authenticators respond.

A challenge is signed and not stored: who asks for one costs nothing. It names its purpose, expires, and is stored by whoever
answers it right, which uses it up.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import webauthn
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes, options_to_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.security.signed_token import SignedToken
from services.user.passkeys.domain import CHALLENGE_LIFETIME, Passkey, PasskeyInvalid
from services.user.users.domain import User

NAME = "Weft"
"""What browsers show."""
_EXPIRY_BYTES = 8
_SIGN_IN = b"sign-in"
_TIMEOUT_MS = int(CHALLENGE_LIFETIME.total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge of ours that has not expired."""

    value: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Options:
    """Options in WebAuthn's JSON, and when their challenge expires."""

    public_key: Mapping[str, Any]
    expires_at: datetime


class RelyingParty:
    """One RP ID, and the origins whose pages may use it."""

    def __init__(self, rp_id: str, origins: Sequence[str], signer: SignedToken, clock: Clock) -> None:
        self._rp_id = rp_id
        self._origins = list(origins)
        self._signer = signer
        self._clock = clock

    def registration(self, user: User, session_id: str, present: Sequence[Passkey]) -> Options:
        """Options that make a discoverable credential with user verification, on none of the authenticators that have one."""
        challenge = self._challenge(_registration(user.user_id, session_id))
        options = webauthn.generate_registration_options(
            rp_id=self._rp_id,
            rp_name=NAME,
            user_id=user.user_id.encode(),
            user_name=user.email,
            user_display_name=user.display_name or user.email,
            challenge=challenge.value,
            timeout=_TIMEOUT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in present],
        )
        return Options(json.loads(options_to_json(options)), challenge.expires_at)

    def sign_in(self) -> Options:
        """Options for whichever discoverable credential the user chooses."""
        challenge = self._challenge(_SIGN_IN)
        options = webauthn.generate_authentication_options(
            rp_id=self._rp_id,
            challenge=challenge.value,
            timeout=_TIMEOUT_MS,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return Options(json.loads(options_to_json(options)), challenge.expires_at)

    def verify_registration(
        self, credential: Mapping[str, Any], user_id: str, session_id: str
    ) -> tuple[VerifiedRegistration, Challenge]:
        """What a new credential proves, and the challenge to use up. Raises `PasskeyInvalid` or `RequestInvalid`."""
        challenge = self._read(credential, _registration(user_id, session_id))
        try:
            verified = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge.value,
                expected_rp_id=self._rp_id,
                expected_origin=self._origins,
                require_user_verification=True,
            )
        except Exception as error:  # whatever a hostile credential provokes in the parsers
            raise PasskeyInvalid() from error
        return verified, challenge

    def verify_sign_in(
        self, credential: Mapping[str, Any], passkey: Passkey
    ) -> tuple[VerifiedAuthentication, Challenge]:
        """What a response of a passkey proves; its counter is the caller's to check. Raises as `verify_registration`."""
        challenge = self._read(credential, _SIGN_IN)
        try:
            handle = base64url_to_bytes(str(credential["response"]["userHandle"]))
            verified = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge.value,
                expected_rp_id=self._rp_id,
                expected_origin=self._origins,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except Exception as error:  # whatever a hostile credential provokes in the parsers
            raise PasskeyInvalid() from error
        if handle != passkey.user_id.encode():
            raise PasskeyInvalid()
        return verified, challenge

    def refuse_malformed(self, credential: Mapping[str, Any]) -> None:
        """Raise `RequestInvalid` for what is no response to a challenge, as `verify_sign_in` does."""
        self._read(credential, _SIGN_IN)

    def _challenge(self, purpose: bytes) -> Challenge:
        expires_at = self._clock.now() + CHALLENGE_LIFETIME
        milliseconds = int(expires_at.timestamp() * 1000)
        token = self._signer.write(milliseconds.to_bytes(_EXPIRY_BYTES) + os.urandom(16), purpose)
        return Challenge(base64url_to_bytes(token), expires_at)

    def _read(self, credential: Mapping[str, Any], purpose: bytes) -> Challenge:
        """The challenge that a credential answers, from its client data."""
        try:
            token = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))["challenge"]
        except Exception:  # whatever is not the JSON of a credential
            raise RequestInvalid(
                violations=[
                    ("credential", "must be the JSON of a WebAuthn credential, as `credential.toJSON()` returns it")
                ]
            ) from None
        try:
            payload = self._signer.read(token, purpose)
        except (ValueError, TypeError, AttributeError):
            raise PasskeyInvalid() from None
        expires_at = datetime.fromtimestamp(int.from_bytes(payload[:_EXPIRY_BYTES]) / 1000, UTC)
        if expires_at <= self._clock.now():
            raise PasskeyInvalid()
        return Challenge(base64url_to_bytes(token), expires_at)


def credential_id(credential: Mapping[str, Any]) -> bytes:
    """The id of a credential; empty where there is none to read."""
    try:
        text = str(credential.get("rawId", ""))[:2000]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _registration(user_id: str, session_id: str) -> bytes:
    return f"registration {user_id} {session_id}".encode()
