"""Which events give what; pure, without a database."""

import pytest
from google.protobuf.empty_pb2 import Empty
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2 as orders
from weft.order.v1.money_pb2 import Money
from weft.user.v1 import events_pb2 as users

from services.notification.observers import OBSERVERS, Channel, Notice, Observers, PayloadMismatch, UnknownObserver

EUR = Money(amount_minor=4200, currency="EUR")
TOTAL = {"amount_minor": 4200, "currency": "EUR"}
MAIL = frozenset({Channel.EMAIL})
INBOX = frozenset({Channel.INBOX})
BOTH = MAIL | INBOX
ORDER = {"order_id": "ord_1"}


def event_of(type, payload, user_id="usr_1", actor="usr_1"):
    made = Event(event_id="evt_1", type=type, aggregate_id="agg_1", sequence=1, user_id=user_id, actor=actor)
    made.payload.Pack(payload)
    return made


def notices(event):
    return [OBSERVERS.run(name, event) for name in OBSERVERS.names_for(event.type)]


@pytest.mark.parametrize(
    ("type", "payload", "notice"),
    [
        (
            "user.signed_up",
            users.UserSignedUp(sign_up_id="sgn_1"),
            Notice("user.verification", "", "sgn_1", MAIL, {"sign_up_id": "sgn_1"}),
        ),
        (
            "user.verification_requested",
            users.VerificationRequested(sign_up_id="sgn_1"),
            Notice("user.verification", "", "sgn_1", MAIL, {"sign_up_id": "sgn_1"}),
        ),
        ("user.invited", users.UserInvited(user_id="usr_1"), Notice("user.invited", "usr_1", "usr_1", MAIL)),
        ("user.verified", users.UserVerified(user_id="usr_1"), Notice("user.verified", "usr_1", "usr_1", INBOX)),
        (
            "order.placed",
            orders.OrderPlaced(order_id="ord_1", total=EUR),
            Notice("order.placed", "usr_1", "ord_1", INBOX, {**ORDER, "total": TOTAL}),
        ),
        (
            "order.confirmed",
            orders.OrderConfirmed(order_id="ord_1", total=EUR),
            Notice("order.confirmed", "usr_1", "ord_1", BOTH, {**ORDER, "total": TOTAL}),
        ),
        (
            "order.cancelled",
            orders.OrderCancelled(order_id="ord_1", reason="my neighbour Bob changed his mind"),
            Notice("order.cancelled", "usr_1", "ord_1", BOTH, ORDER),
        ),
        (
            "order.expired",
            orders.OrderExpired(order_id="ord_1"),
            Notice("order.expired", "usr_1", "ord_1", BOTH, ORDER),
        ),
        (
            "payment.failed",
            orders.PaymentFailed(payment_id="pay_1", order_id="ord_1", reason="card_declined"),
            Notice("payment.failed", "usr_1", "ord_1", BOTH, ORDER),
        ),
        (
            "payment.refunded",
            orders.PaymentRefunded(payment_id="pay_1", order_id="ord_1", amount=EUR),
            Notice("payment.refunded", "usr_1", "ord_1", BOTH, {**ORDER, "amount": TOTAL}),
        ),
    ],
)
def test_an_event_gives_its_notice(type, payload, notice):
    assert notices(event_of(type, payload)) == [notice]


def test_an_order_that_the_platform_calls_off_for_its_payment_is_mailed_about_once():
    failed = event_of("payment.failed", orders.PaymentFailed(order_id="ord_1"), actor="service:order")
    cancelled = event_of("order.cancelled", orders.OrderCancelled(order_id="ord_1"), actor="service:order")
    assert [notice.channels for notice in notices(failed) + notices(cancelled)] == [BOTH, INBOX]


def test_an_order_without_a_customer_tells_nobody():
    assert notices(event_of("order.expired", orders.OrderExpired(order_id="ord_1"), user_id="")) == [None]


@pytest.mark.parametrize("fact", [users.UserSignedUp(), users.VerificationRequested()])
def test_a_sign_up_of_an_older_release_tells_nobody(fact):
    kind = "user.signed_up" if isinstance(fact, users.UserSignedUp) else "user.verification_requested"
    assert notices(event_of(kind, fact)) == [None]


def test_events_that_nobody_observes_have_no_observers():
    assert OBSERVERS.names_for("payment.captured") == ()
    assert OBSERVERS.names_for("moon.landed") == ()


def test_a_payload_of_another_type_is_refused():
    with pytest.raises(PayloadMismatch, match=r"order\.expired came with google\.protobuf\.Empty"):
        OBSERVERS.run("tell_of_expiry", event_of("order.expired", Empty()))


def test_an_observer_of_another_release_is_refused():
    with pytest.raises(UnknownObserver, match="tell_of_eclipse"):
        OBSERVERS.run("tell_of_eclipse", event_of("order.expired", orders.OrderExpired()))


def test_two_observers_may_watch_one_type_but_not_share_a_name():
    observers = Observers()

    @observers.observes("order.expired", orders.OrderExpired)
    def first(event, fact):
        return None

    @observers.observes("order.expired", orders.OrderExpired)
    def second(event, fact):
        return None

    assert observers.names_for("order.expired") == ("first", "second")
    with pytest.raises(ValueError, match="Two observers are called first"):
        observers.observes("order.placed", orders.OrderPlaced)(first)
