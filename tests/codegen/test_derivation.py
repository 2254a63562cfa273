"""One line of a proto changes enforcement, edge, document and client, and nothing else is edited."""

import filecmp
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codegen import check_gen, openapi

ROOT = Path(__file__).resolve().parents[2]
ORDERS = Path("protos/weft/order/v1")
SCOPES = Path("protos/weft/api/v1/scope.proto")
PATH = "/weft.order.v1.OrderService/GetOrder"

ENFORCED = f"""
import json
import contract; from chassis import errors; from chassis.rpc.requests import validation
from weft.order.v1 import order_pb2, order_service_pb2
read = contract.load()
method = read.by_path["{PATH}"]
line = order_pb2.OrderLineInput(product_id="prd_" + "0" * 26, quantity=8)
try:
    quote = order_service_pb2.QuoteOrderRequest(lines=[line])
    validation.reader(read.by_path["/weft.order.v1.OrderService/QuoteOrder"], read)(quote.SerializeToString())
    refused = []
except errors.RequestInvalid as error:
    refused = list(error.violations)
print(json.dumps([method.scope, method.deadline, refused]))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with another scope, deadline and bound in its protos, generated."""
    target = tmp_path_factory.mktemp("derivation") / "tree"
    check_gen.copy(ROOT, target)
    service = (target / ORDERS / "order_service.proto").read_text()
    before, policy, after = re.split(r"(rpc GetOrder[\s\S]+?\n  }\n)", service, maxsplit=1)
    policy = policy.replace("SCOPE_ORDERS_READ", "SCOPE_ORDERS_SEE").replace("{seconds: 5}", "{seconds: 3}")
    (target / ORDERS / "order_service.proto").write_text(before + policy + after)
    scopes = (target / SCOPES).read_text()
    see = "  // Sees orders.\n  SCOPE_ORDERS_SEE = 99 [(held_by) = {roles: [ROLE_CUSTOMER, ROLE_OPERATOR] partners: true}];\n}\n"
    (target / SCOPES).write_text(scopes.rstrip().removesuffix("}") + see)
    messages = (target / ORDERS / "order.proto").read_text()
    (target / ORDERS / "order.proto").write_text(messages.replace("int32.lte = 1000", "int32.lte = 7"))
    check_gen.generate(target)
    return target


def test_the_server_enforces_it(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENFORCED],
        cwd=tree,
        env=check_gen.environment(tree),
        capture_output=True,
        text=True,
        check=True,
    )
    bound = "must be greater than or equal to 1 and less than or equal to 7"
    assert json.loads(done.stdout) == ["orders.see", 3.0, [["lines[0].quantity", bound]]]


def _routes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node] if node.get("match", {}).get("path") == PATH and "route" in node else _routes(list(node.values()))
    return [found for inner in node for found in _routes(inner)] if isinstance(node, list) else []


def test_the_edge_waits_as_long(tree: Path) -> None:
    def timeouts(root: Path) -> set[str]:
        config = json.loads((root / "deploy" / "envoy" / "edge.golden.json").read_text())
        return {route["route"]["timeout"] for route in _routes(config)}

    assert (timeouts(ROOT), timeouts(tree)) == ({"5.5s"}, {"3.5s"})


def test_the_document_says_it(tree: Path) -> None:
    document = json.loads((tree / openapi.FILE).read_text())
    operation = document["paths"]["/v1/orders/{order_id}"]["get"]
    assert operation["security"] == [{"bearer": ["orders.see"]}, {"oauth2": ["orders.see"]}]
    assert operation["x-weft"]["deadlineSeconds"] == 3.0
    line = document["components"]["schemas"]["weft.order.v1.OrderLineInput"]
    assert line["properties"]["quantity"]["maximum"] == 7
    assert "orders.see" in document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"]


def test_the_client_waits_as_long(tree: Path) -> None:
    methods = (tree / "clients" / "python" / "src" / "weft_client" / "generated" / "methods.py").read_text()
    (line,) = [line for line in methods.splitlines() if line.startswith("ORDER_SERVICE_GET_ORDER ")]
    assert ", 3.0, " in line


def test_only_what_is_generated_has_changed(tree: Path) -> None:
    changed = [name for name in check_gen.files(ROOT) if not filecmp.cmp(ROOT / name, tree / name, shallow=False)]
    generated = re.compile(r"gen/|clients/python/(src/\w+/generated|stubs)/|deploy/envoy/edge\.golden\.")
    assert [name for name in changed if not generated.match(name)] == [
        str(SCOPES),
        str(ORDERS / "order.proto"),
        str(ORDERS / "order_service.proto"),
    ]
