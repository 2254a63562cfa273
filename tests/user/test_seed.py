"""Made-up users sign in like others, have the ids of their run, and nothing of them is in the clear."""

from datetime import datetime

import pytest
from weft.user.v1.user_service_pb2 import GetUserRequest

from chassis.commands.seeding import Plan
from chassis.settings import SettingsError
from services.user.seed import seed
from tests.user.world import World

WORDS = ["--run", "r1", "--at", "2026-11-01T00:00:00+00:00"]


async def test_made_up_users_sign_in_and_have_the_ids_of_their_run(world: World) -> None:
    said = [line async for line in seed(world.app, ["7", *WORDS])]
    assert said[0].startswith("7 of 7 users (")
    password = said[-1].rpartition(" ")[2]
    tokens = await world.sign_in("customer-6.r1@example.com", password)
    metadata = [("authorization", f"Bearer {tokens.access_token}")]
    user = await world.users.GetUser(GetUserRequest(user_id="me"), metadata=metadata)
    assert user.user_id == Plan("r1", 7, datetime.fromisoformat(WORDS[-1])).id("usr", 6)
    assert (user.given_name, user.family_name) == tuple(user.display_name.split())
    row = str(await world.rows("SELECT users::text FROM users"))
    assert user.display_name not in row
    assert "example.com" not in row


async def test_the_same_run_is_refused_the_second_time_and_production_always(world: World) -> None:
    async for _ in seed(world.app, ["3", *WORDS]):
        pass
    with pytest.raises(SettingsError, match="has been made"):
        _ = [line async for line in seed(world.app, ["3", *WORDS])]
    settings = world.app.settings.model_copy(update={"environment": "production"})
    world.app.settings = settings
    with pytest.raises(SettingsError, match="WEFT_ENVIRONMENT is production"):
        _ = [line async for line in seed(world.app, ["3"])]
