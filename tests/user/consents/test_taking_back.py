"""What apps have ends with their client, with the consent, and with the sessions of the person."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from weft.user.v1.consent_pb2 import ListConsentsRequest, RevokeConsentRequest
from weft.user.v1.partner_service_pb2 import RevokeClientRequest, SuspendPartnerRequest
from weft.user.v1.password_pb2 import ChangePasswordRequest
from weft.user.v1.session_pb2 import RevokeOtherSessionsRequest

from tests.harness import assert_refused
from tests.user.consents.app import ASK, App, answered
from tests.user.passkeys.authenticator import Device, begin, finish
from tests.user.totp.authenticator import confirm, enrol


async def test_what_the_client_loses_its_apps_lose(app: App) -> None:
    token = (await app.exchange(await app.code())).body["refresh_token"]
    suspend = SuspendPartnerRequest(partner_id=app.client.partner_id)
    await app.world.partners.SuspendPartner(suspend, metadata=app.operator.metadata)
    assert (await app.refresh(token)).body["error"] == "unauthorized_client"
    assert answered((await app.show()).headers["location"])["error"] == "unauthorized_client"
    revoke = RevokeClientRequest(partner_id=app.client.partner_id, client_id=app.client.client_id)
    await app.world.partners.RevokeClient(revoke, metadata=app.operator.metadata)
    assert (await app.refresh(token)).status == 401
    assert (await app.show()).status == 400


async def test_a_consent_is_listed_and_taken_back_with_all_that_came_of_it(app: App) -> None:
    world, own = app.world, app.person.metadata
    tokens, waiting = (await app.exchange(await app.code())).body, await app.code()
    (listed,) = (await world.users.ListConsents(ListConsentsRequest(user_id="me"), metadata=own)).consents
    assert (listed.client_id, listed.client_name) == (app.client.client_id, "Shop")
    assert list(listed.scopes) == ["offline_access", "orders.read", "users.read"]
    taken_back = RevokeConsentRequest(user_id="me", client_id=app.client.client_id)
    await world.users.RevokeConsent(taken_back, metadata=own)
    again = world.users.RevokeConsent(taken_back, metadata=own)
    await assert_refused(again, "CONSENT_NOT_FOUND", client_id=app.client.client_id)
    assert list((await world.users.ListConsents(ListConsentsRequest(user_id="me"), metadata=own)).consents) == []
    assert (await app.refresh(tokens["refresh_token"])).body["error"] == "invalid_grant"
    assert (await app.exchange(waiting)).body["error"] == "invalid_grant"
    assert (await app.decide(ASK)).consent_required


async def test_a_code_ends_when_the_users_tokens_are_revoked(app: App) -> None:
    code = await app.code()
    await app.world.rows("UPDATE users SET token_generation = token_generation + 1 RETURNING 1")
    assert (await app.exchange(code)).body["error"] == "invalid_grant"


async def _changes_the_password(app: App) -> None:
    new = ChangePasswordRequest(current_password=app.person.password, new_password="another quiet morning in Graz")
    await app.world.auth.ChangePassword(new, metadata=app.person.metadata)


async def _ends_the_others(app: App) -> None:
    await app.world.users.RevokeOtherSessions(RevokeOtherSessionsRequest(user_id="me"), metadata=app.person.metadata)


@pytest.mark.parametrize("takes_back", [_changes_the_password, _ends_the_others])
async def test_what_apps_have_ends_with_the_other_sessions_also_a_code_that_is_on_its_way(
    app: App, takes_back: Callable[[App], Awaitable[None]]
) -> None:
    refresh_token, waiting = (await app.exchange(await app.code())).body["refresh_token"], await app.code()
    await takes_back(app)
    assert (await app.exchange(waiting)).body["error"] == "invalid_grant"
    assert (await app.refresh(refresh_token)).body["error"] == "invalid_grant"
    assert "code" in answered((await app.decide(ASK)).redirect_uri)  # the consent itself goes on


async def test_of_a_code_and_a_withdrawal_at_once_nothing_is_left(app: App) -> None:
    """Whichever is first: no session without a consent that its owner sees, and no deadlock."""
    taken_back = RevokeConsentRequest(user_id="me", client_id=app.client.client_id)
    for _ in range(10):
        code = await app.code()
        exchanged, _, decided = await asyncio.gather(
            app.exchange(code),
            app.world.users.RevokeConsent(taken_back, metadata=app.person.metadata),
            app.decide(ASK),
        )
        if exchanged.status == 200:
            assert (await app.refresh(exchanged.body["refresh_token"])).body["error"] == "invalid_grant"
        if not decided.consent_required:
            late = await app.exchange(answered(decided.redirect_uri)["code"])
            assert late.body["error"] == "invalid_grant"


async def test_a_session_that_has_ended_allows_nothing_also_before_the_replica_hears_of_it(app: App) -> None:
    world, person, device = app.world, app.person, Device()
    totp, created = await enrol(world, person), device.create(await begin(world, person))
    await world.rows("UPDATE sessions SET ended_at = now() RETURNING 1")
    # Each would outlast the session.
    await assert_refused(app.decide(), "TOKEN_REVOKED")
    await assert_refused(confirm(world, person, totp.at(world.clock.now())), "TOKEN_REVOKED")
    await assert_refused(finish(world, person, created), "TOKEN_REVOKED")
