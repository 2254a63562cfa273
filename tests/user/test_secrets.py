"""Secrets that the service makes."""

from services.user.accounts.domain import make_code
from services.user.partners.domain import (
    make_secret,
)
from services.user.sessions.domain import make_refresh_token


def test_secrets_differ() -> None:
    for make in (make_secret, make_refresh_token):
        assert len({make() for _ in range(100)}) == 100
    assert all(len(make_code()) == 8 and make_code().isdigit() for _ in range(100))
