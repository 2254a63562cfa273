"""The order service: a catalogue, orders, and their payments."""

from pathlib import Path

from chassis import process
from chassis.app import NEVER_GIVEN_UP, App
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


async def build(weft: App, heartbeat: float = HEARTBEAT) -> None:
    """Wire the service. `heartbeat`: seconds of silence before a stream gives a sign of life."""
    clock, outbox, pages = weft.clock, weft.outbox, weft.pages
    products = ProductRepository(weft.database)
    orders = OrderRepository(weft.database, clock)
    payments = PaymentRepository(weft.database)
    # A payment's work ends with the payment: there is no number of tries after which money may be forgotten.
    work = weft.queue("payment_work", **NEVER_GIVEN_UP, backoff=Backoff(first=0.5, most=60.0))
    checkout = Checkout(Catalogue(products), Placement(weft.database, outbox, work, weft.tracer), clock)
    feed = Feed(weft.database)
    watching = Watching(feed, Cursors(weft.vault.derive("watch cursors")), clock, heartbeat)
    customers = Customers(weft.clients)
    weft.serve("weft.order.v1.ProductService", ProductHandlers(products, pages, clock))
    weft.serve("weft.order.v1.OrderService", OrderHandlers(orders, checkout, customers, watching, pages, outbox, work))
    weft.serve("weft.order.v1.PaymentService", PaymentHandlers(payments, pages))
    weft.work(Worker(work, PaymentWorker(payments, orders, Sandbox(weft.database, clock), outbox, weft.tracer)))
    weft.every(60, Expiry(orders, outbox, work, clock).run, "expire orders")
    weft.on_stop(feed.stop)


if __name__ == "__main__":
    process.main("order", build, metadata=tables.metadata, migrations=MIGRATIONS, bootstrap=bootstrap)
