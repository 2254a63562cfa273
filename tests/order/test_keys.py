"""Services in any order: the keys are there soon after the service that has them."""

from typing import Any

from weft.order.v1 import order_pb2, order_service_pb2

from tests.harness import Harness, Running, reason_of
from tests.servers import free_ports, until

USER = "usr_01k00000000000000000000000"


async def answer(harness: Harness, running: Running) -> str:
    """Why a token is refused that the user service has not signed."""
    get: Any = running.channel.unary_unary(
        "/weft.order.v1.OrderService/GetOrder",
        request_serializer=order_service_pb2.GetOrderRequest.SerializeToString,
        response_deserializer=order_pb2.Order.FromString,
    )
    request = order_service_pb2.GetOrderRequest(order_id="ord_01k00000000000000000000000")
    return await reason_of(get(request, metadata=[("authorization", harness.issuer.user(USER))], timeout=20))


async def test_keys_are_fetched_when_the_user_service_starts_after_the_order_service(harness: Harness) -> None:
    (port,) = free_ports(1)
    peers = {"user": [f"127.0.0.1:{port}"]}
    async with harness.running("order", fetches_keys=True, peers=peers, work=False) as order:
        for _ in range(5):  # enough to open the breaker of the client of ordinary calls
            assert await answer(harness, order) == "KEYS_UNAVAILABLE"
        async with harness.running("user", listen=f"127.0.0.1:{port}", work=False):

            async def has_keys() -> bool:
                return order.app.tokens._keys is not None

            await until(has_keys, "the keys to be fetched, by no call")
        assert await answer(harness, order) == "TOKEN_INVALID"  # known without the user service
