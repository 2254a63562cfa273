"""Headers that HTTP allows and gRPC does not must not break a call over REST."""

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
