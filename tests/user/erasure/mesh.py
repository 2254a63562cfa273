"""The user service and its neighbours, each on sockets of its own."""

from typing import Any

from weft.notification.v1 import inbox_service_pb2, inbox_service_pb2_grpc

from chassis.storage.database import Query
from tests.harness import Harness, Running
from tests.notification import sample_events
from tests.order.shop import Shop
from tests.user.world import Person, World

from weft.notification.v1 import event_service_pb2, event_service_pb2_grpc  # isort: skip
from weft.order.v1.shipping_address_pb2 import ShippingAddress  # isort: skip

_OF_WHAT_WAS_DONE = {
    "audit_events",
    "event_jobs",
    "outbox",
    "idempotency",
    "erased_persons",
    "erasure_jobs",
    "revocations",
}


class Mesh:
    """The user service and, where a test starts them, its neighbours."""

    def __init__(self, world: World, order: Running, notification: Running, harness: Harness) -> None:
        self.world = world
        self.order = order
        self.notification = notification
        self.shop = Shop(order, harness.issuer)
        self.harness = harness

    async def order_of(self, person: Person, note: str = "Leave it with Mrs Neighbourmark") -> str:
        """An order that a person places, and its notification."""
        token = self.harness.issuer.user(person.user_id)
        home = ShippingAddress(recipient="Adamark", lines=["Herrengasse 9"], locality="Wien", region_code="AT")
        product = await self.shop.product(token="")
        order = await self.shop.order((product, 1), token=token, note=note, shipping_address=home)
        publish: Any = event_service_pb2_grpc.EventServiceStub(self.notification.channel)
        event = sample_events.placed(person.user_id, order.order_id)
        await publish.PublishEvents(event_service_pb2.PublishEventsRequest(events=[event]))
        return str(order.order_id)

    async def rows(self, running: Running, sql: str, **values: Any) -> list[Any]:
        return await running.app.database.all(Query(sql), **values)

    async def inbox(self, user_id: str) -> list[str]:
        inbox: Any = inbox_service_pb2_grpc.InboxServiceStub(self.notification.channel)
        metadata = [("authorization", self.harness.issuer.user(user_id))]
        reply = await inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=metadata)
        return [item.subject_id for item in reply.items]

    async def has_notified(self, person: Person, order_id: str) -> bool:
        """Whether the notification of an order has come to the person's inbox."""
        return order_id in await self.inbox(person.user_id)

    async def everything(self) -> str:
        """The rows of every table of every service, but those that say what was done."""
        found: list[str] = []
        for running in (self.world.running, self.order, self.notification):
            names = {table.name for table in running.app.metadata.sorted_tables} - _OF_WHAT_WAS_DONE
            found += [str(await self.rows(running, f"SELECT {name}::text FROM {name}")) for name in sorted(names)]
        return "\n".join(found)
