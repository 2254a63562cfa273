"""Who calls the order service in the ownership matrix, and what each owns."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from weft.api.v1 import mode_pb2

from chassis import ids
from tests.contract.ownership.actors import SCOPES, TEST, actors, mode_of
from tests.contract.ownership.ownership import Ids, World
from tests.harness import Harness
from tests.order import shop as shops
from tests.order import users as order_users


@asynccontextmanager
async def world(harness: Harness) -> AsyncIterator[World]:
    """Orders that partners' customers place, and one who buys by himself."""
    users, partners = ({name: ids.new(prefix) for name in ("acme", "zenith")} for prefix in ("usr", "prt"))
    known = order_users.Users()
    for group, user in users.items():
        known.add(user, partners[group])
    owners = {group: (users[group], partners[group]) for group in users} | {"ann": (ids.new("usr"), "")}
    owners["acme" + TEST] = (ids.new("usr"), partners["acme"])
    known.add(owners["acme" + TEST][0], partners["acme"], mode=mode_pb2.MODE_TEST)
    async with (
        order_users.serving(known, harness.certificates) as known.address,
        harness.running("order", peers={"user": [known.address]}, work=False) as running,
    ):
        shop = shops.Shop(running, harness.issuer)

        async def create(group: str) -> Ids:
            user, partner = owners[group]
            by_partner = harness.issuer.partner(partner, shops.SCOPES, mode=mode_of(group)) if partner else ""
            token = by_partner or harness.issuer.user(user, SCOPES)
            product = await shop.product(token=by_partner)
            order = await shop.order((product, 1), token=token, customer_id=user)
            made = {"order_id": order.order_id, "payment_id": order.payment_id, "customer_id": user}
            return made | {"product_id": product}

        yield World(running, actors(harness, owners), create)
