"""Addresses as people write them, and several edges over TLS."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from weft.order.v1 import order_pb2
from weft_client import Bearer, Tls, errors, testing
from weft_client.target import target

from deploy.local.state.certificates import Certificates
from tests.servers import until


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["localhost:8443"], "dns:///localhost:8443"),
        (["127.0.0.1:1"], "ipv4:127.0.0.1:1"),
        (["10.0.0.1:1", "10.0.0.2:2"], "ipv4:10.0.0.1:1,10.0.0.2:2"),
        (["[::1]:1", "[::2]:2"], "ipv6:[::1]:1,[::2]:2"),
    ],
)
def test_addresses_become_targets(addresses: list[str], expected: str) -> None:
    assert target(addresses) == expected


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        ([], "Name at least one address"),
        (["localhost"], "localhost is not an address: write host:port"),
        (
            ["a.example:1", "b.example:1"],
            "Of several addresses each must be an IP address with a port; a.example:1 is not one",
        ),
        (["https://localhost:8443"], "write localhost:8443, without https://"),
    ],
)
def test_addresses_that_cannot_be_are_refused(addresses: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        target(addresses)


async def test_several_edges_share_the_calls_over_tls(connect: Any, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path, [])
    certificates.ensure()
    pair = (certificates.key("edge-server").read_bytes(), certificates.certificate("edge-server").read_bytes())
    with ExitStack() as stack:
        edges = [stack.enter_context(testing.Fakes(credentials=grpc.ssl_server_credentials([pair]))) for _ in range(2)]
        for fakes in edges:
            fakes.reply("orders.get_order", order_pb2.Order())
        client = connect([fakes.address for fakes in edges], tls=Tls(certificates.ca), auth=Bearer("mine"))

        async def both() -> bool:
            await client.call("orders.get_order", order_id="ord_1")
            return all(fakes.calls("orders.get_order") for fakes in edges)

        await until(both, "both edges to be reached")


async def test_a_certificate_of_a_stranger_is_refused(connect: Any, tmp_path: Path) -> None:
    """The authority that signed it is not trusted."""
    ours, theirs = Certificates(tmp_path / "ours", []), Certificates(tmp_path / "theirs", [])
    for certificates in (ours, theirs):
        certificates.folder.mkdir()
        certificates.ensure()
    pair = (theirs.key("edge-server").read_bytes(), theirs.certificate("edge-server").read_bytes())
    with testing.Fakes(credentials=grpc.ssl_server_credentials([pair])) as fakes:
        client = connect(fakes.address, tls=Tls(ours.ca))
        with pytest.raises(errors.Unavailable):
            await client.call("orders.get_order", order_id="ord_1")
        assert fakes.calls("orders.get_order") == []
