"""Tokens that were verified once."""

import asyncio
import time

import pytest
from weft_client import context as handed_on

from chassis.errors import TokenInvalid
from chassis.security import tokens as module
from chassis.security.tokens import TokenVerifier
from tests.harness import ISSUER, Issuer


async def test_a_remembered_token_is_worth_no_more_than_the_keys_it_was_verified_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = Issuer()
    tokens = TokenVerifier(ISSUER, issuer.jwks)
    header = issuer.user("usr_1")
    known = await tokens.identify(header)
    assert tokens.remembered(header) is known

    tokens.use(Issuer().jwks)  # the key is retired
    monkeypatch.setattr(module, "KEYS_TTL_S", -1)  # and the time is over for which keys are kept

    assert tokens.remembered(header) is None
    with pytest.raises(TokenInvalid):
        await tokens.identify(header)


async def test_a_token_is_remembered_once_however_its_header_is_written() -> None:
    issuer = Issuer()
    tokens = TokenVerifier(ISSUER, issuer.jwks)
    token = issuer.user("usr_1").removeprefix("Bearer ")
    known = await tokens.identify(f"Bearer {token}")
    for header in (f"bearer {token}", f"BEARER   {token}", f"bEaReR {token} "):
        assert tokens.remembered(header) is known
    for header in (token, f"Basic {token}", f"Bearer{token}", "Bearer", "", "given twice"):
        assert tokens.remembered(header) is None
        with pytest.raises(TokenInvalid):
            await tokens.identify(header)


async def test_remembered_tokens_are_bounded_in_bytes_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    tokens = TokenVerifier(ISSUER, issuer.jwks)
    headers = [issuer.user(f"usr_{n}") for n in range(5)]
    monkeypatch.setattr(module, "MAX_CACHE_BYTES", 3 * len(headers[0]))
    for header in headers:
        await tokens.identify(header)
    assert [tokens.remembered(header) is not None for header in headers] == [False, False, True, True, True]


async def test_the_shared_fetch_of_keys_is_nobodys_call() -> None:
    issuer, seen = Issuer(), []

    async def fetch() -> str:
        seen.append(handed_on.deadline.get())
        return await issuer.jwks()

    handed_on.deadline.set(time.monotonic())  # the first caller has no time left
    await TokenVerifier(ISSUER, fetch).identify(issuer.user("usr_1"))
    assert seen == [None]
    handed_on.deadline.set(None)


async def test_the_first_keys_are_fetched_as_soon_as_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer, asked = Issuer(), []
    monkeypatch.setattr(module, "FIRST_FETCH_INTERVAL_S", 0)

    async def fetch() -> str:
        asked.append(1)
        if len(asked) < 5:
            raise ConnectionError
        return await issuer.jwks()

    tokens = TokenVerifier(ISSUER, fetch)
    await tokens.fetch_first()
    await tokens.identify(issuer.user("usr_1"))
    assert len(asked) == 5


async def test_a_fetch_ends_with_its_process_also_where_its_cancellation_is_taken_for_an_error() -> None:
    ended = asyncio.Event()

    async def fetch() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # as a statement that waits for the database may
            ended.set()
            raise ConnectionError from None
        return ""

    tokens = TokenVerifier(ISSUER, fetch)
    starting = asyncio.create_task(tokens.fetch_first())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    assert not ended.is_set()  # others may wait for it
    await tokens.close()
    assert ended.is_set()
