"""Writes programs that use the client, for the type checker: every method with every argument, and wrong ones."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.python_client import types
from codegen.python_client.model import Rpc, services
from codegen.python_client.source import argument
from contract import Contract

_WELL_KNOWN = {
    "google.protobuf.Timestamp": "datetime.now(UTC)",
    "google.protobuf.Duration": "timedelta(seconds=1)",
    "google.protobuf.FieldMask": '["title"]',
    "google.protobuf.Struct": '{"a": 1}',
    "google.api.HttpBody": "api_httpbody_pb2.HttpBody()",
}


def right(contract: Contract) -> str:
    """A program that uses every method of both flavours, with every argument, and says what comes back."""
    lines = ["async def everything(weft: weft_client.AsyncWeft) -> None:"]
    lines += [
        line for s in services(contract, internal=False) for rpc in s.rpcs for line in _use(s.attribute, rpc, "async ")
    ]
    lines += ["", "", "def everything_blocking(weft: weft_client.Weft) -> None:"]
    lines += [line for s in services(contract, internal=False) for rpc in s.rpcs for line in _use(s.attribute, rpc, "")]
    kinds = {kind.file for s in services(contract, internal=False) for rpc in s.rpcs for kind in _spoken_of(rpc)}
    imports = {types.import_of(file) for file in kinds if not file.name.startswith("google/protobuf/empty")}
    imports |= {types.import_of(contract.pool.FindFileByName("google/api/httpbody.proto"))}
    # Google's packages come without types.
    typed = [
        f"{line}  # pyright: ignore[reportMissingTypeStubs]" if "google.api" in line else line
        for line in sorted(imports)
    ]
    head = ["from datetime import UTC, datetime, timedelta", "", *typed, "import weft_client", "", ""]
    return "\n".join([*head, *lines, "    print(datetime, UTC, timedelta)", ""])


WRONG = """
import weft_client
from weft.user.v1 import user_pb2

async def wrong(weft: weft_client.AsyncWeft, blocking: weft_client.Weft) -> None:
    await weft.orders.create_order(payment_method="pm_ok")  # wrong: lines are required
    await weft.orders.create_order(lines=[{"product": "prd_1"}], payment_method="pm_ok")  # wrong: no such key
    await weft.orders.create_order(lines=[], payment_method=3)  # wrong: not a string
    await weft.orders.create_order(lines=[], payment_method="pm_ok", notes="x")  # wrong: no such argument
    await weft.orders.get_order("ord_1")  # wrong: by name only
    await weft.orders.get_order(order_id="ord_1", idempotency_key="k")  # wrong: takes no key
    await weft.orders.list_orders(states=["SHIPPED"]).page()  # wrong: no such state
    await weft.orders.list_orders()  # wrong: a list is walked over
    user: user_pb2.User = await weft.orders.get_order(order_id="ord_1")  # wrong: an order
    print(user, (await weft.orders.get_order(order_id="ord_1")).totals)  # wrong: no such field
    await weft.users.batch_get_users(user_ids=["usr_1"])  # wrong: internal
    weft.orders.get_order(order_id="ord_1").order_id  # wrong: not awaited
    for _ in weft.orders.list_orders():  # wrong: async
        pass
    async for _ in blocking.orders.list_orders():  # wrong: not async
        pass
    try:
        blocking.orders.get_order(order_id="ord_1")
    except weft_client.errors.OutOfStock as error:
        print(error.remaining)  # wrong: no such metadata
"""


def _spoken_of(rpc: Rpc) -> list[Descriptor]:
    found = [rpc.reply]
    if rpc.items is not None and rpc.items.message_type is not None:
        found.append(rpc.items.message_type)
    return found


def _use(attribute: str, rpc: Rpc, flavour: str) -> list[str]:
    arguments = [f"{argument(field.name)}={_value(field)}" for field in rpc.request.fields] + ["timeout=1.5"]
    arguments += ['idempotency_key="k"'] if rpc.keyed else []
    call = f"weft.{attribute}.{rpc.name}({', '.join(arguments)})"
    name = f"{attribute}_{rpc.name}"
    wait = "await " if flavour else ""
    if rpc.method.server_streaming:
        return [
            f"    {flavour}for {name} in {call}:",
            f"        {name}_is: {types.alias(rpc.reply)} = {name}",
            f"        print({name}_is)",
        ]
    if rpc.items is not None:
        item = types.alias(rpc.items.message_type) if rpc.items.message_type else "str"
        return [
            f"    {flavour}for {name} in {call}:",
            f"        {name}_is: {item} = {name}",
            f"        print({name}_is)",
            f"    {name}_page: {types.alias(rpc.reply)} = {wait}{call}.page()",
            f"    print({name}_page)",
        ]
    if rpc.empty:
        return [f"    {wait}{call}"]
    return [f"    {name}: {types.alias(rpc.reply)} = {wait}{call}", f"    print({name})"]


def _value(field: FieldDescriptor, above: tuple[str, ...] = ()) -> str:
    if field.is_repeated:
        return "{}" if types.is_map(field) else f"[{_one(field, above)}]"
    return _one(field, above)


def _one(field: FieldDescriptor, above: tuple[str, ...]) -> str:
    if field.enum_type is not None:
        first = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return f'"{field.enum_type.values[1].name.removeprefix(first)}"'
    message = field.message_type
    if message is None:
        return {FieldDescriptor.CPPTYPE_STRING: '"x"', FieldDescriptor.CPPTYPE_BOOL: "True"}.get(field.cpp_type, "1")
    if message.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[message.full_name]
    inner = [
        f'"{each.name}": {_value(each, (*above, message.full_name))}'
        for each in message.fields
        if not (each.message_type and each.message_type.full_name in above)
    ]
    return f"{{{', '.join(inner)}}}"
