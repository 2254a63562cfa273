"""The RPCs of CustomerService, for the user service."""

from google.protobuf import json_format
from weft.api.v1.personal_record_pb2 import PersonalRecord
from weft.order.v1 import customer_service_pb2 as pb

from chassis.rpc.call import Call
from services.order import messages
from services.order.customers.repository import CustomerRepository
from services.order.orders.repository import OrderRepository
from services.order.ownership import Owner


class CustomerHandlers:
    """weft.order.v1.CustomerService."""

    def __init__(self, customers: CustomerRepository, orders: OrderRepository) -> None:
        self._customers = customers
        self._orders = orders

    async def ReadCustomerData(self, request: pb.ReadCustomerDataRequest, _: Call) -> pb.ReadCustomerDataResponse:
        """The orders of a customer as GetOrder shows them, in the order of their ids."""
        owner = Owner("customer", request.user_id)
        found = await self._customers.list_ids(request.user_id, request.limit + 1, request.after)
        records = []
        for order_id in found[: request.limit]:
            row = await self._orders.get(owner, order_id)
            if row is not None:
                data = json_format.MessageToDict(messages.to_message(row))
                record = PersonalRecord(type="order", record_id=order_id)
                record.data.update(data)
                records.append(record)
        return pb.ReadCustomerDataResponse(records=records, more=len(found) > request.limit)

    async def EraseCustomerData(self, request: pb.EraseCustomerDataRequest, _: Call) -> pb.EraseCustomerDataResponse:
        """A part of the orders and their changes."""
        done = await self._customers.erase(request.user_id, request.pseudonym)
        return pb.EraseCustomerDataResponse(done=done)
