"""The order service: a catalogue, orders, and their payments."""

import gc

gc.disable()  # until it serves: the imports leave next to no garbage, and collecting takes a seventh of their time

from datetime import timedelta
from pathlib import Path

from weft_client.calls.breaker import Breaker

from chassis import process
from chassis.app import RETRY_FOREVER, App
from chassis.queues.queue import Backoff
from chassis.queues.worker import Worker
from chassis.settings import SettingsError
from services.order import tables
from services.order.bootstrap import bootstrap
from services.order.charges.current import CurrentCharges
from services.order.charges.handlers import ChargeHandlers
from services.order.charges.repository import ChargeRepository
from services.order.customers.handlers import CustomerHandlers
from services.order.customers.repository import CustomerRepository
from services.order.exports.handlers import ExportHandlers
from services.order.feed.cursor import Cursors
from services.order.feed.feed import Feed
from services.order.feed.stream import HEARTBEAT_INTERVAL_S, OrderStreams
from services.order.fulfilment.handlers import FulfilmentHandlers
from services.order.orders.checkout import Checkout
from services.order.orders.customers import Customers
from services.order.orders.expiry import Expiry
from services.order.orders.handlers import OrderHandlers
from services.order.orders.repository import OrderRepository
from services.order.overrides.handlers import OverrideHandlers
from services.order.payments.gateways.sandbox import Sandbox
from services.order.payments.handlers import PaymentHandlers
from services.order.payments.money import MoneyHandlers
from services.order.payments.provider_events import ProviderEventHandlers
from services.order.payments.repository import PaymentRepository
from services.order.payments.worker import PaymentWorker, Provider
from services.order.products.catalogue import Catalogue
from services.order.products.handlers import ProductHandlers
from services.order.products.repository import ProductRepository
from services.order.products.search_repository import SearchRepository
from services.order.reconciliation.handlers import ReconciliationHandlers
from services.order.reconciliation.reconciliation import Reconciliation, Source
from services.order.reconciliation.repository import ReconciliationRepository
from services.order.returns.handlers import ReturnHandlers
from services.order.seed import seed
from services.order.timeline.handlers import TimelineHandlers
from services.order.timeline.repository import TimelineRepository

MIGRATIONS = Path(__file__).parent / "migrations"


async def build(app: App, heartbeat_interval: float = HEARTBEAT_INTERVAL_S) -> None:
    """Wire the service. `heartbeat_interval`: seconds without a change before a stream sends a heartbeat."""
    database, clock, pages = app.database, app.clock, app.pages
    # A payment job ends with its payment: money must not be forgotten after a number of attempts.
    work = app.queue("payment_work", **RETRY_FOREVER, backoff=Backoff(first_s=0.5, max_s=60.0))
    products = ProductRepository(database)
    orders = OrderRepository(database, clock, app.outbox, work, app.tracer, app.vault)
    max_pending_time = timedelta(seconds=app.settings.order_expiry)
    charges = ChargeRepository(database)
    current = CurrentCharges(charges)
    payments = PaymentRepository(database)
    reconciliations = ReconciliationRepository(database)
    checkout = Checkout(Catalogue(products), current, orders, clock)
    feed = Feed(database, app.vault)
    streams = OrderStreams(feed, Cursors(app.vault.derive("watch cursors")), clock, heartbeat_interval)
    customers, exports = Customers(app.clients), ExportHandlers(orders)
    app.add_service("weft.order.v1.ChargeService", ChargeHandlers(database, charges, current, pages, clock))
    app.add_service("weft.order.v1.CustomerService", CustomerHandlers(CustomerRepository(database), orders))
    search = SearchRepository(database, products)
    app.add_service("weft.order.v1.ProductService", ProductHandlers(database, products, search, pages, clock))
    app.add_service(
        "weft.order.v1.OrderService",
        OrderHandlers(database, orders, checkout, customers, streams, pages),
        FulfilmentHandlers(database, orders, clock),
        ReturnHandlers(database, orders, clock),
        exports,
        OverrideHandlers(database, orders, clock),
        TimelineHandlers(TimelineRepository(database), pages),
    )
    app.add_service(
        "weft.order.v1.PaymentService",
        PaymentHandlers(payments, pages),
        MoneyHandlers(database, payments, orders, pages, clock),
        ReconciliationHandlers(reconciliations, pages),
        ProviderEventHandlers(database, work, clock, _event_secrets(app)),
    )
    sandbox = Sandbox(database, clock, work)
    test = Provider(sandbox, Breaker("sandbox", failures=5, first_pause_s=1.0, max_pause_s=30.0))
    live = _live(app) or test
    # No breaker pauses the queue: it serves two providers. A job whose provider is away is deferred.
    app.add_worker(Worker(work, PaymentWorker(payments, orders, live, test, app.tracer)))
    sources = {"sandbox": Source(sandbox, ["TEST"] if live is not test else ["TEST", "LIVE"])}
    if live is not test:
        sources["stripe"] = Source(live.gateway, ["LIVE"])
    app.schedule(600, Reconciliation(reconciliations, sources, clock, max_pending_time).run, "reconcile payments")
    app.schedule(2, sandbox.change_later, "charge-backs of the sandbox")
    app.schedule(60, Expiry(orders, clock, max_pending_time).run, "expire orders")
    app.on_stop(feed.stop)
    app.on_stop(exports.stop)


def _live(app: App) -> Provider | None:
    """The provider of orders in LIVE where a real one is set."""
    if not app.settings.stripe_key.get_secret_value():
        if app.settings.environment == "production" and not app.settings.sandbox_for_live:
            raise SettingsError(
                "WEFT_STRIPE_KEY: set it, or WEFT_SANDBOX_FOR_LIVE=true where orders in LIVE are to move no money."
            )
        return None
    from services.order.payments.gateways.stripe import Stripe  # its library takes 40 MB

    settings = app.settings
    gateway = Stripe(settings.stripe_key.get_secret_value(), settings.stripe_url, f"{settings.issuer}/")
    app.on_close(gateway.close)
    return Provider(gateway, Breaker("stripe", failures=5, first_pause_s=1.0, max_pause_s=30.0))


def _event_secrets(app: App) -> dict[str, bytes]:
    """The secret of each provider whose events are received. The sandbox's follows from the data keys."""
    secrets = {"sandbox": app.vault.derive("sandbox events")}
    if secret := app.settings.stripe_webhook_secret.get_secret_value():
        secrets["stripe"] = secret.encode()
    return secrets


if __name__ == "__main__":
    process.main(
        "order", build, metadata=tables.metadata, migrations=MIGRATIONS, bootstrap=bootstrap, commands={"seed": seed}
    )
