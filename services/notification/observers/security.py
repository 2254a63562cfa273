"""Notices to a user about how their account is signed in to: by mail and in the inbox."""

from datetime import UTC
from typing import Any

from weft.api.v1.event_pb2 import Event
from weft.user.v1.security_events_pb2 import (
    PasskeyAdded,
    PasskeyCopied,
    PasskeyRemoved,
    RecoveryCodeUsed,
    SecondFactorGuessed,
    SignedInFromNewDevice,
    TotpDisabled,
    TotpEnabled,
)

from services.notification.channels.channel import EVERYWHERE
from services.notification.notifications.notification import Notification
from services.notification.observers.registry import observes


@observes("user.totp_enabled", TotpEnabled)
def notify_user_totp_enabled(event: Event, payload: TotpEnabled) -> Notification:
    """Sign-in asks for a code."""
    return _notice(event, payload.user_id)


@observes("user.totp_disabled", TotpDisabled)
def notify_user_totp_disabled(event: Event, payload: TotpDisabled) -> Notification:
    """Sign-in asks for the password alone: by the user, or by an operator."""
    return _notice(event, payload.user_id, by_operator=event.actor != payload.user_id)


@observes("user.recovery_code_used", RecoveryCodeUsed)
def notify_user_recovery_code_used(event: Event, payload: RecoveryCodeUsed) -> Notification:
    """With how many are left."""
    return _notice(event, payload.user_id, remaining=payload.remaining)


@observes("user.second_factor_guessed", SecondFactorGuessed)
def notify_user_second_factor_guessed(event: Event, payload: SecondFactorGuessed) -> Notification:
    """Somebody has the password."""
    return _notice(event, payload.user_id, failures=payload.failures)


@observes("user.passkey_added", PasskeyAdded)
def notify_user_passkey_added(event: Event, payload: PasskeyAdded) -> Notification:
    """It signs in without a password."""
    return _notice(event, payload.user_id)


@observes("user.passkey_removed", PasskeyRemoved)
def notify_user_passkey_removed(event: Event, payload: PasskeyRemoved) -> Notification:
    """By the user, or by an operator."""
    return _notice(event, payload.user_id, by_operator=event.actor != payload.user_id)


@observes("user.passkey_copied", PasskeyCopied)
def notify_user_passkey_copied(event: Event, payload: PasskeyCopied) -> Notification:
    """A copy of it has tried to sign in, or the copy was first."""
    return _notice(event, payload.user_id)


@observes("user.signed_in_from_new_device", SignedInFromNewDevice)
def notify_user_signed_in_from_new_device(event: Event, payload: SignedInFromNewDevice) -> Notification:
    """With the family of the browser, and no address."""
    return _notice(event, payload.user_id, device=payload.device)


def _notice(event: Event, user_id: str, **data: Any) -> Notification:
    time = f"{event.occur_time.ToDatetime(UTC):%Y-%m-%d %H:%M} UTC"
    return Notification(event.type, user_id, user_id, EVERYWHERE, {"time": time, **data})
