"""Headers that HTTP allows and gRPC does not must not break a call over REST."""

import httpx
import pytest

from tests.edge.conftest import Edge

FOREIGN = """
x!a: 1
x&a: 1
x'a: 1
x*: 1
x-a-bin: !!!
x-a-bin: AAAA
grpc-encoding: zz
grpc-timeout: soon
grpc-timeout: 123456789S
"""


@pytest.mark.parametrize("header", FOREIGN.strip().splitlines())
def test_a_header_that_means_nothing_to_us_is_no_fault(edge: Edge, header: str) -> None:
    name, value = header.split(": ")
    assert edge.call("GET", "/v1/products", token=None, headers={name: value}).status_code == 200


@pytest.mark.parametrize("value", ["!!!", "AAAA", "AAA", ""])
def test_a_binary_header_of_a_native_caller_is_dropped(edge: Edge, value: str) -> None:
    headers = {"content-type": "application/grpc", "te": "trailers", "x-a-bin": value}
    headers["authorization"] = f"Bearer {edge.mint()}"
    before = len(edge.upstream.calls)
    with httpx.Client(base_url=edge.url, http1=False, http2=True) as client:
        response = client.post("/weft.order.v1.OrderService/GetOrder", headers=headers, content=bytes(5))
    assert "grpc-status" not in response.headers  # which a refusal has there, and an answer in its trailers
    assert len(edge.upstream.calls) == before + 1
