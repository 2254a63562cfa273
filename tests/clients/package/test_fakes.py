"""What fakes promise to those who test with them."""

import pytest
import weft_internal.methods
from weft.order.v1 import order_pb2
from weft.user.v1 import user_pb2
from weft_client import ClientCredentials, Plaintext, Weft, errors, testing

LINES: list[order_pb2.OrderLineInput] = [order_pb2.OrderLineInput(product_id="prd_1", quantity=1)]


def test_a_call_that_was_not_told_says_how_to(fakes: testing.Fakes) -> None:
    with fakes.weft() as weft, pytest.raises(errors.Unimplemented, match=r"No fake answers orders.get_order"):
        weft.orders.get_order(order_id="ord_1")
    with fakes.weft() as weft, pytest.raises(errors.Unimplemented, match=r"No fake answers orders.watch_orders"):
        list(weft.orders.watch_orders())


def test_names_and_types_and_reasons_are_those_of_the_contract(fakes: testing.Fakes) -> None:
    with pytest.raises(ValueError, match=r"There is no call orders.get"):
        fakes.reply("orders.get", order_pb2.Order())
    with pytest.raises(TypeError, match=r"orders.get_order answers with Order, not User"):
        fakes.reply("orders.get_order", user_pb2.User())
    with pytest.raises(TypeError, match=r"orders.get_order answers with Order: give one"):
        fakes.reply("orders.get_order")
    with pytest.raises(ValueError, match=r"The contract does not let orders.get_order answer OUT_OF_STOCK"):
        fakes.fail("orders.get_order", errors.OutOfStock("no"))
    with pytest.raises(ValueError, match=r"There is no call users.batch_get_users"):
        fakes.calls("users.batch_get_users")


def test_an_error_that_is_raised_by_a_fake_arrives_typed(fakes: testing.Fakes) -> None:
    @fakes.on("orders.create_order")
    def refuse(request: object) -> order_pb2.Order:
        raise errors.ExternalReferenceTaken("Taken.", external_reference="A-1")

    with fakes.weft() as weft, pytest.raises(errors.ExternalReferenceTaken) as raised:
        weft.orders.create_order(lines=LINES, payment_method="pm_sandbox_ok")
    assert (raised.value.domain, raised.value.external_reference) == ("weft.order.v1", "A-1")


def test_a_key_is_honoured(fakes: testing.Fakes) -> None:
    placed: list[str] = []

    @fakes.on("orders.create_order")
    def place(_: object) -> order_pb2.Order:
        placed.append("x")
        return order_pb2.Order(order_id=f"ord_{len(placed)}")

    with fakes.weft() as weft:
        first = weft.orders.create_order(lines=LINES, payment_method="pm_sandbox_ok", idempotency_key="mine")
        again = weft.orders.create_order(lines=LINES, payment_method="pm_sandbox_ok", idempotency_key="mine")
        other = weft.orders.create_order(lines=LINES, payment_method="pm_sandbox_ok")
        assert [order.order_id for order in (first, again, other)] == ["ord_1", "ord_1", "ord_2"]
        with pytest.raises(errors.IdempotencyKeyReused):
            weft.orders.create_order(lines=LINES, payment_method="pm_other", idempotency_key="mine")


def test_code_under_test_may_bring_its_own_credentials(fakes: testing.Fakes) -> None:
    fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
    with Weft(fakes.address, tls=Plaintext(), auth=ClientCredentials("cli_1", "hush")) as weft:
        weft.orders.get_order(order_id="ord_1")
    assert fakes.calls("orders.get_order")[0].metadata["authorization"] == "Bearer fake"


def test_a_call_without_a_reply_answers_nothing(fakes: testing.Fakes) -> None:
    fakes.reply("auth.sign_out")
    with fakes.weft() as weft:
        assert weft.auth.sign_out() is None


def test_services_fake_internal_calls_alike() -> None:
    with testing.Fakes(known=weft_internal.methods.BY_NAME) as fakes:
        assert fakes.calls("users.batch_get_users") == []
