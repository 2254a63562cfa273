"""What is refused to callers, by name. The first line of each docstring is the message."""

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound


class OrderNotFound(NotFound):
    """There is no order {order_id}."""


class CustomerNotFound(NotFound):
    """There is no customer {customer_id} to order for."""


class CustomerRequired(InvalidArgument):
    """A partner must give the customer in customer_id."""


class ExternalReferenceTaken(AlreadyExists):
    """There is already an order with the external reference {external_reference}."""


class OrderNotCancellable(FailedPrecondition):
    """The order {order_id} is {state} and cannot be cancelled."""


class OrderNotUpdatable(FailedPrecondition):
    """The order {order_id} is {state} and can no longer be changed."""


class ShippingCountryFixed(FailedPrecondition):
    """Shipping and tax were charged for the country of the order {order_id}, or for none; the address changes within it."""


class CursorInvalid(InvalidArgument):
    """The cursor does not belong to this stream."""


class OrderAlreadyShipped(FailedPrecondition):
    """Units of the order {order_id} have been shipped, so it is too late."""


class OrderNotShippable(FailedPrecondition):
    """The order {order_id} is {state}, its payment {payment_state}: it cannot be shipped."""


class OrderLineNotFound(NotFound):
    """The order {order_id} has no line of {product_id}."""


class ShipmentExceedsOrder(FailedPrecondition):
    """Only {available} of {product_id} remain to be shipped and {requested} were given."""


class TooManyShipments(FailedPrecondition):
    """The order already has {limit} shipments."""


class OrderNotShipped(FailedPrecondition):
    """Nothing of the order {order_id} has been shipped."""


class OrderAlreadyDelivered(FailedPrecondition):
    """Everything of the order {order_id} that was shipped has been delivered."""


class ShipmentNotFound(NotFound):
    """The order has no shipment {shipment_id}."""


class DeliveryExceedsShipment(FailedPrecondition):
    """Only {available} of {product_id} are on their way and {requested} were given."""


class PaymentNotFound(NotFound):
    """There is no payment {payment_id}."""


class PaymentNotConfirmable(FailedPrecondition):
    """The payment {payment_id} is {state} and cannot be confirmed."""


class PaymentMethodRequired(FailedPrecondition):
    """The payment {payment_id} was declined: give another payment_method."""


class PaymentNotCapturable(FailedPrecondition):
    """The payment {payment_id} is {state}: there is nothing to capture, or it is being captured."""


class CaptureExceedsAuthorized(FailedPrecondition):
    """Only {authorized_minor} are authorized."""


class PaymentNotRefundable(FailedPrecondition):
    """The payment {payment_id} is {state}: there is nothing to refund, or it is being refunded."""


class RefundExceedsCaptured(FailedPrecondition):
    """Only {refundable_minor} can still be refunded."""


class TooManyRefunds(FailedPrecondition):
    """The payment already has {limit} refunds."""


class ProviderNotFound(NotFound):
    """Events of {provider} are not accepted."""


class EventSignatureInvalid(InvalidArgument):
    """The signature is missing, wrong or too old."""


class EventMalformed(InvalidArgument):
    """The body is not an event."""


class NothingToReturn(FailedPrecondition):
    """The order {order_id} has no delivered units left to return."""


class ReturnExceedsDelivery(FailedPrecondition):
    """Only {available} of {product_id} can be returned and {requested} were given."""


class TooManyReturns(FailedPrecondition):
    """The order already has {limit} returns."""


class NoReturnRequested(FailedPrecondition):
    """No return of the order {order_id} was requested."""


class ReturnNotFound(NotFound):
    """The order has no return {return_id}."""


class ReturnAlreadyDecided(FailedPrecondition):
    """The return {return_id} is {state}: it was decided before."""


class ReturnNotApproved(FailedPrecondition):
    """The return {return_id} is {state}: nothing of it can be received."""


class ReturnAlreadyReceived(FailedPrecondition):
    """Everything of the return {return_id} has already been returned."""


class ReturnExceedsRequest(FailedPrecondition):
    """Only {available} of {product_id} are still to be returned and {requested} were given."""


class OrderPaidByBankTransfer(FailedPrecondition):
    """The order {order_id} was paid by bank transfer: give the money back and record it first."""
