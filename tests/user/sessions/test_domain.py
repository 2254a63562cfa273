"""The rules of refresh tokens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.user.keys.authentication import PASSWORD, Authentication
from services.user.sessions.domain import RefreshOutcome, RefreshToken, refresh_token_expiry

NOW = datetime(2026, 11, 24, 12, 30, 40, 123, tzinfo=UTC)
DAY = timedelta(days=1)
STORED = RefreshToken(
    b"h", "ses_1", "usr_1", NOW + DAY, None, "next", False, NOW + 2 * DAY, None, Authentication((PASSWORD,), NOW)
)


@pytest.mark.parametrize(
    ("stored", "outcome"),
    [
        (STORED, RefreshOutcome.ROTATED),
        (replace(STORED, used_at=NOW, has_unused_successor=True), RefreshOutcome.REPEATED),
        (replace(STORED, used_at=NOW), RefreshOutcome.REUSED),
        (replace(STORED, used_at=NOW, has_unused_successor=True, expires_at=NOW), RefreshOutcome.REFUSED),
        (replace(STORED, used_at=NOW, has_unused_successor=True, session_ended_at=NOW), RefreshOutcome.REFUSED),
        (replace(STORED, expires_at=NOW), RefreshOutcome.REFUSED),
        (replace(STORED, session_expires_at=NOW), RefreshOutcome.REFUSED),
        (replace(STORED, session_ended_at=NOW - DAY), RefreshOutcome.REFUSED),
        (replace(STORED, session_ended_at=NOW - DAY, used_at=NOW - DAY), RefreshOutcome.REFUSED),
        (replace(STORED, expires_at=NOW, used_at=NOW - DAY), RefreshOutcome.REFUSED),
    ],
)
def test_a_refresh_token_is_rotated_once(stored: RefreshToken, outcome: RefreshOutcome) -> None:
    assert stored.present(NOW) is outcome


def test_a_refresh_token_expires_with_its_session_at_the_latest() -> None:
    assert refresh_token_expiry(NOW, NOW + 90 * DAY) == NOW + 30 * DAY
    assert refresh_token_expiry(NOW, NOW + 5 * DAY) == NOW + 5 * DAY
