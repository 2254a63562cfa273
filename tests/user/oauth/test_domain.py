"""The protocol of OAuth 2.0: forms, credentials and scopes."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.user.oauth.domain import FORM, OAuthError, matches_any, read_credentials, read_form, read_scopes


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
