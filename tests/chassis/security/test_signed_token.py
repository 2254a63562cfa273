"""A signed token gives back its payload, to its own context and key only."""

import pytest

from chassis.security.signed_token import SignedToken

KEY = b"k" * 32


@pytest.mark.parametrize("payload", [b"", b"a", b"\x00\xff" * 20, b'["ord_1"]'])
def test_a_token_gives_back_its_payload(payload: bytes) -> None:
    tokens = SignedToken(KEY)
    token = tokens.write(payload, b"orders of usr_1")
    assert tokens.read(token, b"orders of usr_1") == payload
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("context", [b"", b"orders of usr_2", b"orders of usr_1[", b"orders of usr_"])
def test_a_token_of_another_context_is_refused(context: bytes) -> None:
    tokens = SignedToken(KEY)
    with pytest.raises(ValueError, match="signature"):
        tokens.read(tokens.write(b"[1]", b"orders of usr_1"), context)


def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(ValueError, match="signature"):
        SignedToken(KEY).read(SignedToken(b"o" * 32).write(b"1", b""), b"")


@pytest.mark.parametrize("token", ["", "a", "no token", "ä", "AAAA", "=" * 4, "A" * 100, "A+/A" * 10])
def test_what_is_not_a_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError):
        SignedToken(KEY).read(token, b"")
