"""The recipes of CONTRIBUTING as code: a new service, and a new RPC, written into a copy of the tree."""

import shutil
import subprocess
from pathlib import Path

from codegen import check_gen

ROOT = Path(__file__).resolve().parents[3]
NEW_SERVICE = Path(__file__).parent / "new_service"
RPC_TEST = "tests/order/products/test_count.py"
_SCOPES = """  // Reads the partner's notes.
  SCOPE_NOTES_READ = 90 [(held_by) = {partners: true}];
  // Writes the partner's notes.
  SCOPE_NOTES_WRITE = 91 [(held_by) = {partners: true}];
}
"""
_SERVICE_ROUTES = """weft.note.v1.NoteService.CreateNote               POST   /v1/notes
weft.note.v1.NoteService.GetNote                  GET    /v1/notes/{note_id}
weft.note.v1.NoteService.WatchNotes               GET    /v1/notes:watch
"""
_RPC = """  // Counts products.
  rpc CountProducts(CountProductsRequest) returns (CountProductsResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/products:count"};
    option (weft.api.v1.method) = {
      callers: [CALLER_PUBLIC]
    };
  }

"""
_MESSAGES = """
// Request for CountProducts.
message CountProductsRequest {}

// How many products there are.
message CountProductsResponse {
  // The number of products.
  int32 count = 1;
}
"""
_HANDLER = """    async def CountProducts(self, _: pb.CountProductsRequest, __: Call) -> pb.CountProductsResponse:
        return pb.CountProductsResponse(count=7)

"""
_ROUTE = "weft.order.v1.ProductService.CountProducts          GET    /v1/products:count\n"
_TEST = """from weft.order.v1.product_service_pb2 import CountProductsRequest
from weft.order.v1.product_service_pb2_grpc import ProductServiceStub

from tests.harness import Harness


async def test_products_are_counted(harness: Harness) -> None:
    async with harness.running("order", work=False) as order:
        reply = await ProductServiceStub(order.channel).CountProducts(CountProductsRequest())
    assert reply.count == 7
"""


def environment(tree: Path) -> dict[str, str]:
    """That of commands in the tree, without what a test run passes on to its own processes."""
    own = ("WEFT_RECORD_REASONS", "WEFT_TEST_MESH", "PYTEST_", "MAKE", "MFLAGS")
    return {name: value for name, value in check_gen.environment(tree).items() if not name.startswith(own)}


def run(tree: Path, *command: str) -> tuple[int, str]:
    """Exit code and output of a command in the tree."""
    done = subprocess.run(command, cwd=tree, env=environment(tree), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def make(tree: Path, target: str) -> tuple[int, str]:
    """Exit code and output of a target in the tree, with this tree's `.venv`, and what its mypy knows already."""
    if not (tree / ".venv").exists():
        (tree / ".venv").symlink_to(ROOT / ".venv")
        if (ROOT / ".mypy_cache").exists():
            shutil.copytree(ROOT / ".mypy_cache", tree / ".mypy_cache")
    return run(tree, "make", "-o", ".venv/ready", target)


def add_service(tree: Path) -> None:
    """Write the new service into the tree, with its scopes and its lines of the route list."""
    shutil.copytree(NEW_SERVICE, tree, dirs_exist_ok=True)
    scopes = tree / "protos" / "weft" / "api" / "v1" / "scope.proto"
    scopes.write_text(scopes.read_text().rstrip().removesuffix("}") + _SCOPES)
    _append(tree / "tests/contract/routes.txt", _SERVICE_ROUTES)


def add_rpc(tree: Path) -> None:
    """Write one RPC into the tree: proto, handler, route and test."""
    _insert(tree / "protos/weft/order/v1/product_service.proto", "  // Returns one product.", _RPC, _MESSAGES)
    _insert(tree / "services/order/products/handlers.py", "    async def GetProduct", _HANDLER)
    _append(tree / "tests/contract/routes.txt", _ROUTE)
    (tree / RPC_TEST).write_text(_TEST)


def _insert(file: Path, before: str, text: str, end: str = "") -> None:
    """Put text before a place that is there once, and at the end."""
    found = file.read_text()
    assert found.count(before) == 1, (file, before)
    file.write_text(found.replace(before, text + before) + end)


def _append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)
