"""The rules of users."""

from datetime import UTC, datetime

import pytest

from services.user.users.domain import CUSTOMER, User, fold

NOW = datetime(2026, 11, 24, 12, 30, 40, 123, tzinfo=UTC)
USER = User("usr_1", "", "a@example.com", "Ada", "en", "ACTIVE", "", (CUSTOMER,), "free", NOW, NOW, "hash")


def test_the_repr_of_a_user_has_no_personal_data() -> None:
    shown = repr(USER)
    assert not any(secret in shown for secret in (USER.email, USER.display_name, USER.password_hash))


@pytest.mark.parametrize(
    ("one", "other"), [("Ada@Example.COM", "ada@example.com"), ("stra\u00dfe@x.de", "STRASSE@X.DE")]
)
def test_addresses_are_equal_regardless_of_case(one: str, other: str) -> None:
    assert fold(one) == fold(other)
