"""What is over is deleted, and nothing else."""

from datetime import timedelta

import pytest
from weft.user.v1.auth_service_pb2 import RefreshRequest, SignOutRequest
from weft.user.v1.partner_service_pb2 import RotateClientSecretRequest
from weft.user.v1.user_service_pb2 import CreateUserRequest

from tests.harness import assert_refused
from tests.user.world import World


@pytest.fixture
def sweep(world: World):
    """Deletes what is past its time, as the service does every minute."""
    return next(job for _, job, name in world.app._jobs if name == "retention")


async def test_an_unverified_sign_up_expires_with_its_code(world: World, sweep) -> None:
    mailed, unmailed = await world.sign_up("ada"), await world.sign_up("bob")
    world.clock.advance(timedelta(hours=1))
    await world.code(mailed)
    world.clock.advance(timedelta(hours=23, seconds=1))
    await sweep()
    assert [row.sign_up_id for row in await world.rows("SELECT sign_up_id FROM sign_ups")] == [mailed.sign_up_id]
    world.clock.advance(timedelta(hours=1))
    await sweep()
    assert await world.rows("SELECT 1 FROM sign_ups UNION ALL SELECT 1 FROM users") == []
    await assert_refused(world.code(unmailed), "SIGN_UP_NOT_FOUND")


async def test_an_unverified_account_of_an_older_release_is_deleted(world: World, sweep) -> None:
    operator, invited = await world.operator(), "ada"
    request = CreateUserRequest(email=world.email(invited))
    await world.users.CreateUser(request, metadata=operator.metadata)
    await world.person("bob")
    await world.rows(
        "INSERT INTO users (user_id, email_sealed, email_lookup, display_name_sealed, locale, state, roles, plan, "
        "password_hash, created_at, updated_at) VALUES ('usr_old', '', 'x', '', 'en', 'INITIAL', '{}', 'free', 'h', "
        "%(now)s, %(now)s) RETURNING 1",
        now=world.clock.now(),
    )
    world.clock.advance(timedelta(hours=25, seconds=1))
    await sweep()
    assert sorted(row.state for row in await world.rows("SELECT state FROM users")) == ["ACTIVE", "ACTIVE", "INITIAL"]


async def test_refresh_tokens_go_when_they_no_longer_work(world: World, sweep) -> None:
    person = await world.person("ada")
    await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    world.clock.advance(timedelta(days=30, seconds=1))
    await sweep()
    assert len(await world.rows("SELECT 1 FROM sessions")) == 1
    assert await world.rows("SELECT 1 FROM refresh_tokens") == []


async def test_sessions_go_a_week_after_their_end(world: World, sweep) -> None:
    ended, used = await world.person("ada"), await world.person("bob")
    await world.auth.SignOut(SignOutRequest(), metadata=ended.metadata)
    world.clock.advance(timedelta(days=7))
    await sweep()
    assert len(await world.rows("SELECT 1 FROM sessions")) == 2
    # Until then a used token is known as one.
    call = world.auth.Refresh(RefreshRequest(refresh_token=ended.tokens.refresh_token))
    await assert_refused(call, "REFRESH_TOKEN_INVALID")

    world.clock.advance(timedelta(seconds=1))
    await sweep()
    assert [row.user_id for row in await world.rows("SELECT user_id FROM sessions")] == [used.user_id]
    assert len(await world.rows("SELECT 1 FROM refresh_tokens")) == 1
    world.clock.advance(timedelta(days=90))
    await sweep()
    assert await world.rows("SELECT 1 FROM sessions UNION ALL SELECT 1 FROM refresh_tokens") == []


async def test_secrets_go_when_their_overlap_ends(world: World, sweep) -> None:
    operator = await world.operator()
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    request = RotateClientSecretRequest(partner_id=partner.partner_id, client_id=client.client_id)
    await world.partners.RotateClientSecret(request, metadata=operator.metadata)
    await sweep()
    assert len(await world.rows("SELECT 1 FROM client_secrets")) == 2
    world.clock.advance(timedelta(hours=24, seconds=1))
    await sweep()
    assert [row.expires_at for row in await world.rows("SELECT expires_at FROM client_secrets")] == [None]
