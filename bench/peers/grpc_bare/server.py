"""The servicers: every handler checks the caller and the message itself, as bare servers do."""

import hashlib
from typing import Any, NoReturn

import grpc
import protovalidate
from google.protobuf.message import Message
from sqlalchemy import select
from weft.order.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc
from weft.user.v1 import user_service_pb2, user_service_pb2_grpc

from bench.peers import orders
from bench.peers.customers import Customers
from bench.peers.database import Sessions
from bench.peers.grpc_bare import convert
from bench.peers.models import Order, User
from bench.peers.refusals import Refused
from bench.peers.settings import Settings
from bench.peers.tokens import Caller, InvalidToken, Verifier

Context = grpc.aio.ServicerContext[Any, Any]


class Gate:
    """Authenticates the caller and checks the message's bounds; aborts the call where either fails."""

    def __init__(self, settings: Settings) -> None:
        self._verifier = Verifier(settings)
        self._validator = protovalidate.Validator()

    async def enter(self, context: Context, scope: str, request: Message) -> tuple[Caller, dict[str, str | bytes]]:
        """The caller and the call's metadata."""
        metadata = dict(context.invocation_metadata() or ())
        try:
            caller = self._verifier.verify(str(metadata.get("authorization", "")).removeprefix("Bearer "))
        except InvalidToken:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "The token is not valid.")
        if scope not in caller.scopes:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"The token lacks the scope {scope}.")
        try:
            self._validator.validate(request)
        except protovalidate.ValidationError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return caller, metadata


class OrderService(order_service_pb2_grpc.OrderServiceServicer):
    """Orders."""

    def __init__(self, gate: Gate, customers: Customers, writes: Sessions, reads: Sessions) -> None:
        self._gate, self._customers, self._writes, self._reads = gate, customers, writes, reads

    async def CreateOrder(self, request: order_service_pb2.CreateOrderRequest, context: Context) -> order_pb2.Order:
        """Places an order."""
        caller, metadata = await self._gate.enter(context, "orders.write", request)
        key = str(metadata.get("idempotency-key", ""))
        if not 1 <= len(key) <= 255:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The call needs an idempotency-key.")
        fingerprint = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        try:
            customer_id = await self._customers.check(caller, request.customer_id)
            wanted = orders.NewOrder(
                customer_id=customer_id,
                lines=[(line.product_id, line.quantity) for line in request.lines],
                payment_method=request.payment_method,
                external_reference=request.external_reference,
                note=request.note,
            )
            reply = await orders.place(self._writes, caller, key, fingerprint, wanted, _render)
        except Refused as error:
            await _abort(context, error)
        if reply.replayed:
            await context.send_initial_metadata((("idempotency-replayed", "true"),))
        return order_pb2.Order.FromString(reply.body)

    async def GetOrder(self, request: order_service_pb2.GetOrderRequest, context: Context) -> order_pb2.Order:
        """Returns one order."""
        caller, _ = await self._gate.enter(context, "orders.read", request)
        try:
            return convert.order(await orders.get(self._reads, caller, request.order_id))
        except Refused as error:
            await _abort(context, error)

    async def ListOrders(
        self, request: order_service_pb2.ListOrdersRequest, context: Context
    ) -> order_service_pb2.ListOrdersResponse:
        """Lists orders, newest first."""
        caller, _ = await self._gate.enter(context, "orders.read", request)
        size = min(request.page_size or 50, 1000)
        found, token = await orders.page(self._reads, caller, size, request.page_token)
        return order_service_pb2.ListOrdersResponse(orders=map(convert.order, found), next_page_token=token)


class UserService(user_service_pb2_grpc.UserServiceServicer):
    """Users, for other services."""

    def __init__(self, gate: Gate, reads: Sessions) -> None:
        self._gate, self._reads = gate, reads

    async def BatchGetUsers(
        self, request: user_service_pb2.BatchGetUsersRequest, context: Context
    ) -> user_service_pb2.BatchGetUsersResponse:
        """Returns the users that exist."""
        await self._gate.enter(context, "users.read", request)
        async with self._reads() as session:
            found = await session.scalars(select(User).where(User.user_id.in_(request.user_ids)))
        return user_service_pb2.BatchGetUsersResponse(users=map(convert.user, found))


def _render(order: Order) -> bytes:
    return convert.order(order).SerializeToString()


async def _abort(context: Context, error: Refused) -> NoReturn:
    await context.abort(grpc.StatusCode[error.code], f"{error.reason}: {error}")
