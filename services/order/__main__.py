"""The order service: a catalogue, orders, and their payments."""

from pathlib import Path

from chassis import process
from chassis.app import RETRY_FOREVER, App
from chassis.queues.queue import Backoff
from chassis.queues.worker import Worker
from services.order import tables
from services.order.bootstrap import bootstrap
from services.order.feed.cursor import Cursors
from services.order.feed.feed import Feed
from services.order.feed.stream import HEARTBEAT, Watching
from services.order.orders.checkout import Checkout
from services.order.orders.customers import Customers
from services.order.orders.expiry import Expiry
from services.order.orders.handlers import OrderHandlers
from services.order.orders.insert import Placement
from services.order.orders.repository import OrderRepository
from services.order.payments.gateways.sandbox import Sandbox
from services.order.payments.handlers import PaymentHandlers
from services.order.payments.repository import PaymentRepository
from services.order.payments.worker import PaymentWorker
from services.order.products.catalogue import Catalogue
from services.order.products.handlers import ProductHandlers
from services.order.products.repository import ProductRepository

MIGRATIONS = Path(__file__).parent / "migrations"


async def build(app: App, heartbeat: float = HEARTBEAT) -> None:
    """Wire the service. `heartbeat`: seconds of silence before a stream gives a sign of life."""
    clock, outbox, pages = app.clock, app.outbox, app.pages
    products = ProductRepository(app.database)
    orders = OrderRepository(app.database, clock)
    payments = PaymentRepository(app.database)
    # A payment's work ends with the payment: there is no number of tries after which money may be forgotten.
    work = app.queue("payment_work", **RETRY_FOREVER, backoff=Backoff(first=0.5, most=60.0))
    checkout = Checkout(Catalogue(products), Placement(app.database, outbox, work, app.tracer), clock)
    feed = Feed(app.database)
    watching = Watching(feed, Cursors(app.vault.derive("watch cursors")), clock, heartbeat)
    customers = Customers(app.clients)
    app.add_service("weft.order.v1.ProductService", ProductHandlers(products, pages, clock))
    app.add_service(
        "weft.order.v1.OrderService", OrderHandlers(orders, checkout, customers, watching, pages, outbox, work)
    )
    app.add_service("weft.order.v1.PaymentService", PaymentHandlers(payments, pages))
    app.add_worker(Worker(work, PaymentWorker(payments, orders, Sandbox(app.database, clock), outbox, app.tracer)))
    app.schedule(60, Expiry(orders, outbox, work, clock).run, "expire orders")
    app.on_stop(feed.stop)


if __name__ == "__main__":
    process.main("order", build, metadata=tables.metadata, migrations=MIGRATIONS, bootstrap=bootstrap)
