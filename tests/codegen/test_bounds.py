"""What callers can make an edge hold fits into its heap, whatever they do: the sum of the numbers in the configuration."""

import dataclasses

import pytest

import contract as contracts
from codegen.envoy import bounds
from codegen.envoy.bootstrap import sample
from codegen.envoy.limits import callers
from contract import sizes
from tests.codegen.edges import built, manager

CONTRACT = contracts.load()
OF_PROVIDERS = "/weft.notification.v1.ProviderService/HandleDeliveryEvent"
"""Its batches are several times what anybody else sends. A provider posts a few at a time, and again where one is refused."""
LARGEST = max(
    sizes.largest_body(method, CONTRACT)
    for method in CONTRACT.methods
    if not method.internal and method.path != OF_PROVIDERS
)


def test_connections_and_requests_together_stay_below_the_heap() -> None:
    config = built()
    heap, connections = (monitor["typed_config"] for monitor in config["overload_manager"]["resource_monitors"])
    unread = connections["max_active_downstream_connections"] * manager(config)["max_request_headers_kb"] * 1024
    assert unread + bounds.MAX_REQUEST_BYTES <= heap["max_heap_size_bytes"] * 3 / 4


def test_one_address_cannot_take_what_others_need() -> None:
    assert bounds.MAX_CONNECTIONS_PER_ADDRESS * 16 <= bounds.MAX_CONNECTIONS
    assert bounds.MAX_REQUEST_BYTES_PER_ADDRESS * 8 <= bounds.MAX_REQUEST_BYTES
    beside = bounds.MAX_HEADER_BYTES + bounds.OWN_HEADER_BYTES + bounds.FRAME_BYTES
    for times, largest in ((50, LARGEST), (16, sizes.largest_body(CONTRACT.by_path[OF_PROVIDERS], CONTRACT))):
        fits = times * (largest + beside) <= bounds.MAX_REQUEST_BYTES_PER_ADDRESS
        assert fits, "an address may always send what the contract allows"


def test_the_streams_that_are_ended_first_are_not_requests_within_their_bounds() -> None:
    assert LARGEST < 1 << bounds.TRACKED_POWER


def test_the_module_has_a_place_for_all_that_can_be_open() -> None:
    text = callers.text(sample(CONTRACT))
    places = 262_144
    assert f"(global $last_place i32 (i32.const {places - 1}))" in text
    assert places > bounds.MAX_CONNECTIONS + bounds.MAX_REQUEST_BYTES // bounds.MIN_REQUEST_BYTES
    queue, queued = 589_824 + places * 16, 16_384
    assert f"(global $queue i32 (i32.const {queue}))" in text
    assert f"(global $last_queued i32 (i32.const {queued - 1}))" in text
    assert queued > bounds.MAX_CONNECTIONS
    behind = queue + queued * 8
    assert f'(memory (export "memory") {-(-behind // 65536)})' in text


@pytest.mark.parametrize("concurrency", [1, 2])
def test_workers_share_the_bytes(concurrency: int) -> None:
    deployment = dataclasses.replace(sample(CONTRACT), concurrency=concurrency)
    text = callers.text(deployment)
    assert f"(i32.const {bounds.MAX_REQUEST_BYTES // concurrency})" in text
    assert "{" not in text
    assert callers.module(deployment).startswith(b"\0asm")


def test_behind_proxies_connections_are_not_counted_by_address() -> None:
    def counted(hops: int) -> list[str]:
        listeners = built(trusted_hops=hops)["static_resources"]["listeners"]
        return [one["name"] for one in listeners if "wasm" in one["filter_chains"][0]["filters"][0]["name"]]

    assert counted(0) == ["http", "https"]
    assert counted(1) == []
