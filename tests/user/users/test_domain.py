"""The domain rules, without socket or database."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import EtagMismatch
from services.user.accounts.domain import make_code
from services.user.oauth.domain import FORM, OAuthError, matches_any, read_credentials, read_form, read_scopes
from services.user.partners.domain import (
    ACTIVE,
    SUSPENDED,
    Partner,
    PartnerAlreadySuspended,
    PartnerNotSuspended,
    ScopeNotGranted,
    make_secret,
    minute,
    unknown_scopes,
)
from services.user.sessions.domain import RefreshOutcome, RefreshToken, make_refresh_token, refresh_token_expiry
from services.user.throttling.origins import neighbourhood, network
from services.user.users.domain import CUSTOMER, User, fold

NOW = datetime(2026, 11, 24, 12, 30, 40, 123, tzinfo=UTC)
DAY = timedelta(days=1)
PARTNER = Partner("prt_1", "Acme", "free", ("a.read", "b.read"), ACTIVE, NOW, NOW)
STORED = RefreshToken(b"h", "ses_1", "usr_1", NOW + DAY, None, NOW + 2 * DAY, None)
USER = User("usr_1", "", "a@example.com", "Ada", "en", "ACTIVE", "", (CUSTOMER,), "free", NOW, NOW, "hash")


def test_a_partner_moves_between_its_states_and_nowhere_else() -> None:
    suspended = PARTNER.suspend(NOW + DAY)
    assert suspended == replace(PARTNER, state=SUSPENDED, updated_at=NOW + DAY, revision=2)
    assert suspended.reinstate(NOW + DAY).state == ACTIVE
    with pytest.raises(PartnerAlreadySuspended):
        suspended.suspend(NOW)
    with pytest.raises(PartnerNotSuspended):
        PARTNER.reinstate(NOW)


def test_a_partner_changes_its_etag_with_every_change_and_only_then() -> None:
    changed = PARTNER.update(NOW + DAY, "", {"plan": "premium"})
    assert (changed.plan, changed.etag, changed.updated_at) == ("premium", "2", NOW + DAY)
    assert PARTNER.update(NOW + DAY, "1", {"plan": "free"}) is PARTNER
    with pytest.raises(EtagMismatch) as stale:
        changed.update(NOW, "1", {})
    assert stale.value.metadata == {"etag": "2"}


def test_a_partner_grants_the_scopes_that_it_has() -> None:
    PARTNER.require(["a.read"])
    with pytest.raises(ScopeNotGranted) as missing:
        PARTNER.require(["c.read", "a.read", "b.write"])
    assert missing.value.metadata == {"scopes": "b.write c.read"}


def test_unknown_scopes_are_named_by_index() -> None:
    assert unknown_scopes(["a.read", "x", "b.read", "y"], {"a.read", "b.read"}) == [(1, "x"), (3, "y")]


@pytest.mark.parametrize(
    ("stored", "outcome"),
    [
        (STORED, RefreshOutcome.ROTATED),
        (replace(STORED, used_at=NOW), RefreshOutcome.REUSED),
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


def test_secrets_differ() -> None:
    for make in (make_secret, make_refresh_token):
        assert len({make() for _ in range(100)}) == 100
    assert all(len(make_code()) == 8 and make_code().isdigit() for _ in range(100))


def test_the_repr_of_a_user_has_no_personal_data() -> None:
    shown = repr(USER)
    assert not any(secret in shown for secret in (USER.email, USER.display_name, USER.password_hash))


@pytest.mark.parametrize(
    ("one", "other"), [("Ada@Example.COM", "ada@example.com"), ("stra\u00dfe@x.de", "STRASSE@X.DE")]
)
def test_addresses_are_equal_regardless_of_case(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_a_network_is_one_ipv4_address_or_one_ipv6_network(address: str, counted: str) -> None:
    assert network(address) == counted


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:7:1::1", "2001:db8:7::/48"),
        ("unknown", ""),
    ],
)
def test_a_neighbourhood_is_a_block_that_one_attacker_easily_controls(address: str, counted: str) -> None:
    assert neighbourhood(address) == counted


def test_a_last_use_is_truncated_to_the_minute() -> None:
    assert minute(NOW) == datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


def error_of(read: Callable[..., object], *arguments: object) -> str:
    """The error code of the protocol; empty if there is no error."""
    try:
        read(*arguments)
    except OAuthError as error:
        return error.error
    return ""


_TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)


@given(st.dictionaries(_TEXT, _TEXT, max_size=6))
def test_a_form_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    assert read_form(FORM, urlencode(fields).encode()) == fields


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_an_error_of_the_protocol(data: bytes) -> None:
    assert error_of(read_form, FORM, data) in ("", "invalid_request")


@given(st.text(max_size=100), st.dictionaries(st.sampled_from(["client_id", "client_secret"]), st.text(min_size=1)))
def test_any_header_is_read_or_refused(header: str, form: dict[str, str]) -> None:
    for authorization in (header, f"Basic {header}"):
        assert error_of(read_credentials, authorization, form) in ("", "invalid_request", "invalid_client")


def test_a_secret_matches_in_either_decoding() -> None:
    assert matches_any([b"a", b"b"], [b"x", b"b"])
    assert not matches_any([b"a"], [b"x"])
    assert not matches_any([], [b"x"])


def test_no_requested_scopes_are_all_scopes() -> None:
    assert read_scopes({}, ["a", "b"]) is None
    assert read_scopes({"scope": " b  a b "}, ["a", "b", "c"]) == ("a", "b")
    with pytest.raises(OAuthError, match="unknown or not granted"):
        read_scopes({"scope": "a d"}, ["a"])
