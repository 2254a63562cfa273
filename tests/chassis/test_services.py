"""A gRPC service may be served by several objects, one for each noun; every RPC has exactly one handler."""

from typing import Any

import pytest

from chassis.app import App
from chassis.rpc.call import Call
from chassis.settings import SettingsError
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import USER, unary
from tests.harness import Harness

NAMES = ("CreateItem", "GetItem", "PeekItem", "ListItems", "UpdateItem", "AdjustItem", "WatchItems")


async def get_item(request: Any, call: Call) -> Any:
    """Answers with the item of the requested id."""
    return pb.Item(item_id=request.item_id)


async def refuse(request: Any, call: Call) -> Any:
    raise AssertionError("not called")


def serving(*names: str) -> Any:
    """An object with handlers of these names."""
    return type("Handlers", (), {name: staticmethod(get_item if name == "GetItem" else refuse) for name in names})()


async def test_objects_serve_one_service_together(harness: Harness) -> None:
    async def build(app: App) -> None:
        app.contract = pb.CONTRACT
        app.add_service(pb.SERVICE, serving(*NAMES[2:]), serving(*NAMES[:2]))

    async with harness.running("probe", build, work=False) as running:
        item = "itm_01k00000000000000000000000"
        reply = await unary(running, "GetItem")(
            pb.GetItemRequest(item_id=item), metadata=[("authorization", harness.issuer.user(USER))]
        )
    assert reply.item_id == item


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([NAMES[1:]], "Handlers does not serve CreateItem of"),
        ([NAMES, NAMES[:2]], "More than one object serves CreateItem, GetItem of"),
    ],
)
async def test_an_rpc_without_one_handler_is_refused(harness: Harness, parts: list[Any], sentence: str) -> None:
    async def build(app: App) -> None:
        app.contract = pb.CONTRACT
        app.add_service(pb.SERVICE, *(serving(*names) for names in parts))

    with pytest.raises(SettingsError, match=sentence):
        async with harness.running("probe", build, work=False):
            pass
