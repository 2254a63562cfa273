"""What is over is deleted, and nothing else."""

from datetime import timedelta

import pytest
from weft.user.v1.auth_service_pb2 import RefreshRequest, SignOutRequest
from weft.user.v1.partner_service_pb2 import RotateClientSecretRequest

from tests.harness import refused
from tests.user.world import World


@pytest.fixture
def sweep(world: World):
    """Deletes what is past its time, as the service does every minute."""
    return next(job for _, job, name in world.app._jobs if name == "retention")


async def test_codes_that_ended_go(world: World, sweep) -> None:
    old, new = await world.sign_up("ada"), await world.sign_up("bob")
    await world.code(old)
    world.clock.advance(timedelta(hours=24, seconds=1))
    await world.code(new)
    await sweep()
    assert [row.user_id for row in await world.rows("SELECT user_id FROM verification_codes")] == [new.user_id]


async def test_sessions_go_a_week_after_their_end(world: World, sweep) -> None:
    ended, used = await world.person("ada"), await world.person("bob")
    await world.auth.SignOut(SignOutRequest(), metadata=ended.metadata)
    world.clock.advance(timedelta(days=7))
    await sweep()
    assert len(await world.rows("SELECT 1 FROM sessions")) == 2
    # Until then a used token is known as one.
    assert (await refused(world.auth.Refresh(RefreshRequest(refresh_token=ended.tokens.refresh_token)))).reason

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
