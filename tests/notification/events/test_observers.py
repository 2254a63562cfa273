"""Which events make which notifications; pure, without a database."""

from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2 as orders
from weft.order.v1.fulfilment_pb2 import Shipment
from weft.order.v1.money_pb2 import Money
from weft.user.v1 import events_pb2 as users
from weft.user.v1 import security_events_pb2 as security

from services.notification.channels.channel import EVERYWHERE, Channel
from services.notification.notifications.notification import Notification
from services.notification.observers import OBSERVERS, Observers, PayloadMismatch, UnknownObserver
from tests.notification import announced

EUR = Money(amount_minor=4200, currency="EUR")
TOTAL = {"amount_minor": 4200, "currency": "EUR"}
MAIL = frozenset({Channel.EMAIL})
INBOX = frozenset({Channel.INBOX})
ORDER = {"order_id": "ord_1"}


NOTICE = {"time": "1970-01-01 00:00 UTC"}


def event_of(type, payload, user_id="usr_1", actor="usr_1"):
    made = Event(event_id="evt_1", type=type, aggregate_id="agg_1", sequence=1, user_id=user_id, actor=actor)
    made.payload.Pack(payload)
    return made


def notifications_of(event):
    return [OBSERVERS.run(name, event) for name in OBSERVERS.names_for(event.type)]


@pytest.mark.parametrize(
    ("type", "payload", "notification"),
    [
        (
            "user.signed_up",
            users.UserSignedUp(sign_up_id="sgn_1"),
            Notification("user.verification", "", "sgn_1", MAIL, {"sign_up_id": "sgn_1"}),
        ),
        (
            "user.verification_requested",
            users.VerificationRequested(sign_up_id="sgn_1"),
            Notification("user.verification", "", "sgn_1", MAIL, {"sign_up_id": "sgn_1"}),
        ),
        ("user.invited", users.UserInvited(user_id="usr_1"), Notification("user.invited", "usr_1", "usr_1", MAIL)),
        ("user.verified", users.UserVerified(user_id="usr_1"), Notification("user.verified", "usr_1", "usr_1", INBOX)),
        *(
            (type, payload, Notification(type, "usr_1", "usr_1", EVERYWHERE))
            for type, payload in (
                ("user.deactivated", users.UserDeactivated(user_id="usr_1")),
                ("user.reactivated", users.UserReactivated(user_id="usr_1")),
                ("user.locked", users.UserLocked(user_id="usr_1")),
                ("user.unlocked", users.UserUnlocked(user_id="usr_1")),
            )
        ),
        (
            "user.totp_enabled",
            security.TotpEnabled(user_id="usr_1"),
            Notification("user.totp_enabled", "usr_1", "usr_1", EVERYWHERE, NOTICE),
        ),
        (
            "user.totp_disabled",
            security.TotpDisabled(user_id="usr_1"),
            Notification("user.totp_disabled", "usr_1", "usr_1", EVERYWHERE, {**NOTICE, "by_operator": False}),
        ),
        (
            "user.passkey_added",
            security.PasskeyAdded(user_id="usr_1", passkey_id="pky_1"),
            Notification("user.passkey_added", "usr_1", "usr_1", EVERYWHERE, NOTICE),
        ),
        (
            "user.passkey_removed",
            security.PasskeyRemoved(user_id="usr_1", passkey_id="pky_1"),
            Notification("user.passkey_removed", "usr_1", "usr_1", EVERYWHERE, {**NOTICE, "by_operator": False}),
        ),
        (
            "user.passkey_copied",
            security.PasskeyCopied(user_id="usr_1", passkey_id="pky_1"),
            Notification("user.passkey_copied", "usr_1", "usr_1", EVERYWHERE, NOTICE),
        ),
        (
            "user.signed_in_from_new_device",
            security.SignedInFromNewDevice(user_id="usr_1", device="Chrome on Linux"),
            Notification(
                "user.signed_in_from_new_device", "usr_1", "usr_1", EVERYWHERE, {**NOTICE, "device": "Chrome on Linux"}
            ),
        ),
        (
            "user.recovery_code_used",
            security.RecoveryCodeUsed(user_id="usr_1", remaining=9),
            Notification("user.recovery_code_used", "usr_1", "usr_1", EVERYWHERE, {**NOTICE, "remaining": 9}),
        ),
        (
            "user.second_factor_guessed",
            security.SecondFactorGuessed(user_id="usr_1", failures=10),
            Notification("user.second_factor_guessed", "usr_1", "usr_1", EVERYWHERE, {**NOTICE, "failures": 10}),
        ),
        (
            "order.placed",
            orders.OrderPlaced(order_id="ord_1", total=EUR),
            Notification("order.placed", "usr_1", "ord_1", INBOX, {**ORDER, "total": TOTAL}),
        ),
        (
            "order.confirmed",
            orders.OrderConfirmed(order_id="ord_1", total=EUR),
            Notification("order.confirmed", "usr_1", "ord_1", EVERYWHERE, {**ORDER, "total": TOTAL}),
        ),
        (
            "order.cancelled",
            orders.OrderCancelled(order_id="ord_1", reason="my neighbour Bob changed his mind"),
            Notification("order.cancelled", "usr_1", "ord_1", EVERYWHERE, ORDER),
        ),
        (
            "order.expired",
            orders.OrderExpired(order_id="ord_1"),
            Notification("order.expired", "usr_1", "ord_1", EVERYWHERE, ORDER),
        ),
        (
            "payment.failed",
            orders.PaymentFailed(payment_id="pay_1", order_id="ord_1", reason="card_declined"),
            Notification("payment.failed", "usr_1", "ord_1", EVERYWHERE, ORDER),
        ),
        (
            "payment.refunded",
            orders.PaymentRefunded(payment_id="pay_1", order_id="ord_1", amount=EUR),
            Notification("payment.refunded", "usr_1", "ord_1", EVERYWHERE, {**ORDER, "amount": TOTAL}),
        ),
        (
            "payment.action_required",
            orders.PaymentActionRequired(payment_id="pay_1", order_id="ord_1", next_action="https://bank.example/1"),
            Notification("payment.action_required", "usr_1", "ord_1", INBOX, ORDER),
        ),
        ("order.updated", orders.OrderUpdated(order_id="ord_1", fields=["note", "metadata"]), None),
        (
            "order.updated",
            orders.OrderUpdated(order_id="ord_1", fields=["note", "shipping_address"]),
            Notification("order.updated", "usr_1", "ord_1", INBOX, ORDER),
        ),
        (
            "order.shipped",
            orders.OrderShipped(
                order_id="ord_1", shipment=Shipment(carrier="DHL", tracking_number="00340"), complete=True
            ),
            Notification(
                "order.shipped",
                "usr_1",
                "ord_1",
                EVERYWHERE,
                {**ORDER, "complete": True, "carrier": "DHL", "tracking_number": "00340"},
            ),
        ),
        (
            "order.delivered",
            orders.OrderDelivered(order_id="ord_1"),
            Notification("order.delivered", "usr_1", "ord_1", EVERYWHERE, {**ORDER, "complete": False}),
        ),
        (
            "order.return_requested",
            orders.OrderReturnRequested(order_id="ord_1", return_id="rtn_1"),
            Notification("order.return_requested", "usr_1", "ord_1", INBOX, ORDER),
        ),
        (
            "order.return_approved",
            orders.OrderReturnApproved(order_id="ord_1", return_id="rtn_1"),
            Notification("order.return_approved", "usr_1", "ord_1", EVERYWHERE, ORDER),
        ),
        (
            "order.return_refused",
            orders.OrderReturnRefused(order_id="ord_1", return_id="rtn_1"),
            Notification("order.return_refused", "usr_1", "ord_1", EVERYWHERE, ORDER),
        ),
        (
            "order.return_received",
            orders.OrderReturnReceived(order_id="ord_1", return_id="rtn_1", refund=EUR),
            Notification("order.return_received", "usr_1", "ord_1", INBOX, {**ORDER, "amount": TOTAL}),
        ),
        (
            "order.return_received",
            orders.OrderReturnReceived(order_id="ord_1", return_id="rtn_1"),
            Notification("order.return_received", "usr_1", "ord_1", INBOX, {**ORDER, "amount": None}),
        ),
    ],
)
def test_an_event_makes_its_notification(type, payload, notification):
    assert notifications_of(event_of(type, payload)) == [notification]


def test_an_order_that_the_platform_cancels_for_its_payment_is_mailed_about_once():
    failed = event_of("payment.failed", orders.PaymentFailed(order_id="ord_1"), actor="service:order")
    cancelled = event_of("order.cancelled", orders.OrderCancelled(order_id="ord_1"), actor="service:order")
    assert [notification.channels for notification in notifications_of(failed) + notifications_of(cancelled)] == [
        EVERYWHERE,
        INBOX,
    ]


def test_an_order_without_a_customer_notifies_nobody():
    assert notifications_of(event_of("order.expired", orders.OrderExpired(order_id="ord_1"), user_id="")) == [None]


@pytest.mark.parametrize("payload", [users.UserSignedUp(), users.VerificationRequested()])
def test_a_sign_up_of_an_older_release_notifies_nobody(payload):
    kind = "user.signed_up" if isinstance(payload, users.UserSignedUp) else "user.verification_requested"
    assert notifications_of(event_of(kind, payload)) == [None]


UNOBSERVED = {
    "user.updated": "the person has done it; what could be somebody else's has events of its own",
    "user.erased": "there is nobody left to be told",
    "order.completed": "the last delivery and the payment were told",
    "payment.captured": "order.confirmed says it",
    "payment.refund_failed": "operators see to it; the refund is told when it succeeds",
    "payment.charged_back": "the payer has asked the bank for it",
    "payment.charge_back_reversed": "the payer's bank says so",
    "partner.suspended": "operators speak to the partner; webhooks and tokens stop",
    "partner.reinstated": "as above",
    "webhook.disabled": "our own, which NoticeWorker tells the partner's owners",
}


def test_every_event_of_the_contract_is_observed_or_is_not_for_a_reason():
    observed = {each.event_type: each.payload.DESCRIPTOR.full_name for each in OBSERVERS}
    assert observed.items() <= announced.events().items()
    assert announced.events().keys() - observed.keys() == UNOBSERVED.keys()
    assert OBSERVERS.names_for("moon.landed") == ()


def test_the_documentation_lists_every_event_that_is_told():
    listed = Path("docs/notifications.md").read_text().partition("\nA delivery goes")[0]
    assert {type for type in announced.events() if f"`{type}`" in listed} == {each.event_type for each in OBSERVERS}


def test_a_payload_of_another_type_is_refused():
    with pytest.raises(PayloadMismatch, match=r"order\.expired came with google\.protobuf\.Empty"):
        OBSERVERS.run("notify_order_expired", event_of("order.expired", Empty()))


def test_an_observer_of_another_release_is_refused():
    with pytest.raises(UnknownObserver, match="notify_moon_eclipsed"):
        OBSERVERS.run("notify_moon_eclipsed", event_of("order.expired", orders.OrderExpired()))


def test_two_observers_may_watch_one_type_but_not_share_a_name():
    observers = Observers()

    @observers.observes("order.expired", orders.OrderExpired)
    def first(event, payload):
        return None

    @observers.observes("order.expired", orders.OrderExpired)
    def second(event, payload):
        return None

    assert observers.names_for("order.expired") == ("first", "second")
    with pytest.raises(ValueError, match="Two observers are called first"):
        observers.observes("order.placed", orders.OrderPlaced)(first)
