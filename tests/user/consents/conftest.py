"""An app of a partner's."""

import pytest

from tests.user.consents.app import CALLBACK, App
from tests.user.world import Person, World


@pytest.fixture
async def app(world: World, operator: Person) -> App:
    """An app on a server of its partner."""
    partner = await world.partner(operator, scopes="orders.read users.read users.write products.write")
    client = await world.client(operator, partner, redirect_uris=[CALLBACK])
    return App(world, operator, client, await world.person("ada"))
