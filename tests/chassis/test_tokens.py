"""Tokens that were verified once."""

import pytest

from services.chassis import tokens as module
from services.chassis.errors import TokenInvalid
from services.chassis.tokens import Tokens
from tests.harness import ISSUER, Issuer


async def test_a_remembered_token_is_worth_no_more_than_the_keys_it_was_verified_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = Issuer()
    tokens = Tokens(ISSUER, issuer.jwks)
    header = issuer.user("usr_1")
    known = await tokens.identify(header)
    assert tokens.remembered(header) is known

    tokens.use(Issuer().jwks)  # the key is retired
    monkeypatch.setattr(module, "KEEP", -1)  # and the time is over for which keys are kept

    assert tokens.remembered(header) is None
    with pytest.raises(TokenInvalid):
        await tokens.identify(header)
