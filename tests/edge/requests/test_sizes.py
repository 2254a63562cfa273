"""What is promised of sizes is kept every time, and what does not fit costs nobody else a call."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest

from chassis.rpc import servers
from codegen.envoy import bounds
from contract import Contract
from tests.edge import protocols
from tests.edge.conftest import Edge

GET = "/weft.order.v1.OrderService/GetOrder"
PROTOCOLS = ("HTTP/1.1", "HTTP/2", "gRPC")


def ask(edge: Edge, protocol: str, headers: dict[str, str]) -> str:
    """Read an order; the HTTP status, or gRPC's reason."""
    headers = {"authorization": f"Bearer {edge.mint()}", **headers}
    if protocol != "gRPC":
        try:
            return str(protocols.rest(edge.url, int(protocol[5]), "GET", "/v1/orders/ord_1", headers, {}).status_code)
        except httpx.RemoteProtocolError:
            return "more headers than this client reads"
    try:
        protocols.native(edge.target, GET, b"", list(headers.items()))
    except grpc.RpcError as error:
        return protocols.reason_of(error)
    return "200"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("pieces", [1, 80])
def test_headers_up_to_the_promise_are_served_every_time(protocol: str, pieces: int, edge: Edge) -> None:
    room = bounds.MAX_HEADER_BYTES - 1024  # the token, the path, and what the caller's library says
    for size in (16_000, room):
        headers = {f"a{number:02}": "x" * (size // pieces - 3) for number in range(pieces)}
        assert [ask(edge, protocol, headers) for _ in range(20)] == ["200"] * 20


def test_a_service_takes_whatever_headers_the_edge_lets_pass(contract: Contract) -> None:
    options = dict(servers.options(contract))
    soft, hard = (options[f"grpc.{name}"] for name in ("max_metadata_size", "absolute_max_metadata_size"))
    overhead = 32 * (bounds.MAX_HEADERS + bounds.OWN_HEADERS + 16)  # RFC 9113, 6.5.2: 32 bytes for each
    assert bounds.MAX_HEADER_BYTES + bounds.OWN_HEADER_BYTES + overhead < int(soft)
    assert soft == hard, "between the two gRPC refuses by chance"


@pytest.mark.parametrize("size", [20_000, 70_000, 200_000])
def test_an_answer_that_does_not_fit_ends_no_other_call(size: int, edge: Edge) -> None:
    """The edge shares a few connections to a service among all callers."""
    bad = {"x-test-error": "NOT_FOUND", "x-test-trailer": str(size)}
    with ThreadPoolExecutor(20) as threads:
        others = [threads.submit(ask, edge, "HTTP/1.1", {"x-test-sleep": "1"}) for _ in range(10)]
        refused = [threads.submit(ask, edge, "HTTP/1.1", bad) for _ in range(10)]
        assert [other.result() for other in others] == ["200"] * 10
    assert "200" not in {answer.result() for answer in refused}
