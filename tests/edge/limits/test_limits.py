"""Limits at the edge: by client, plan and rate class; by address where there is no token."""

import time
from collections import Counter

import grpc
import httpx

from contract import Contract, RateClass
from tests.edge import protocols
from tests.edge.conftest import Edge
from tests.edge.running import until

FREE = {"plan": "free"}


def spend(
    edge: Edge, count: int, token: str, path: str = "/v1/orders/ord_1", verb: str = "GET"
) -> list[httpx.Response]:
    """Calls as fast as one connection takes them."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body = {"json": {}} if verb == "POST" else {}
    with httpx.Client(base_url=edge.url, headers=headers) as client:
        return [client.request(verb, path, **body) for _ in range(count)]


def test_a_client_gets_what_its_plan_says(edge: Edge, contract: Contract) -> None:
    for plan, limits in contract.plans.items():
        token = edge.mint(sub=f"cli_plan_{plan}", plan=plan)
        read = edge.call("GET", "/v1/orders/ord_1", token=token)
        write = edge.call("POST", "/v1/orders", token=token, json={})
        assert read.headers["x-ratelimit-limit"] == str(limits[RateClass.READ])
        assert write.headers["x-ratelimit-limit"] == str(limits[RateClass.WRITE])


def test_past_its_limit_a_client_is_told_when_to_come_back(edge: Edge, contract: Contract) -> None:
    token = edge.mint(sub="cli_hasty", **FREE)
    limit = contract.plans["free"][RateClass.READ]
    began = time.monotonic()
    answers = spend(edge, 4 * limit, token)
    took = time.monotonic() - began
    counted = Counter(answer.status_code for answer in answers)
    assert limit <= counted[200] <= limit * (1 + took) + 1
    assert set(counted) == {200, 429}
    refusals = [answer for answer in answers if answer.status_code == 429]
    refused = refusals[0]
    assert protocols.assert_refusal(refused, "RATE_LIMITED").retry
    assert refused.headers["retry-after"] == "1"
    # Of the bucket when the response is written: one that is slow may find it filled again.
    assert "0" in {answer.headers["x-ratelimit-remaining"] for answer in refusals}
    time.sleep(int(refused.headers["retry-after"]))  # what a well-behaved client does
    assert edge.call("GET", "/v1/orders/ord_1", token=token).status_code == 200


def test_reads_of_every_kind_share_a_bucket_and_writes_have_their_own(edge: Edge, contract: Contract) -> None:
    token = edge.mint(sub="cli_shared", **FREE)
    limit = contract.plans["free"][RateClass.READ]
    write = edge.call("POST", "/v1/orders", token=token, json={})
    assert write.headers["x-ratelimit-remaining"] == str(contract.plans["free"][RateClass.WRITE] - 1)

    def is_shared() -> bool:
        spend(edge, limit, token)
        other = edge.call("GET", "/v1/payments/pay_1", token=token)
        return int(other.headers["x-ratelimit-remaining"]) < limit - 1  # its own bucket would be full but for this call

    until(is_shared, "reads of one kind are counted with those of another")


def test_one_client_does_not_spend_anothers(edge: Edge, contract: Contract) -> None:
    spend(edge, 3 * contract.plans["free"][RateClass.READ], edge.mint(sub="cli_greedy", **FREE))
    other = edge.call("GET", "/v1/orders/ord_1", token=edge.mint(sub="cli_modest", **FREE))
    assert other.headers["x-ratelimit-remaining"] == str(contract.plans["free"][RateClass.READ] - 1)


def test_native_grpc_meets_the_same_limit(edge: Edge, contract: Contract) -> None:
    token = edge.mint(sub="cli_native", **FREE)
    spend(edge, 2 * contract.plans["free"][RateClass.WRITE], token, "/v1/orders", "POST")
    metadata = [("authorization", f"Bearer {token}")]
    refused = []
    for _ in range(contract.plans["free"][RateClass.WRITE]):
        try:
            protocols.native(edge.target, "/weft.order.v1.OrderService/CreateOrder", b"", metadata)
        except grpc.RpcError as error:
            refused.append(protocols.assert_refusal(error, "RATE_LIMITED"))
    assert {refusal.retry for refusal in refused} == {True}


def test_without_a_token_the_address_is_counted_and_sign_in_apart(edge: Edge, contract: Contract) -> None:
    reads = edge.call("GET", "/v1/products", token=None)
    signs = edge.call("POST", "/oauth2/token", token=None, data={"a": "b"})
    joins = edge.call("POST", "/v1/auth:signUp", token=None, json={})
    assert reads.headers["x-ratelimit-limit"] == str(contract.plans["free"][RateClass.READ])
    assert (signs.headers["x-ratelimit-limit"], joins.headers["x-ratelimit-limit"]) == ("50", "20")


def test_a_token_that_nobody_asked_for_counts_for_its_client(edge: Edge, contract: Contract) -> None:
    listed = edge.call("GET", "/v1/products", token=edge.mint(sub="cli_lister"))
    stale = edge.call("GET", "/v1/products", token=edge.mint(exp=1))
    assert listed.headers["x-ratelimit-limit"] == str(contract.plans["premium"][RateClass.READ])
    assert stale.headers["x-ratelimit-limit"] == str(contract.plans["free"][RateClass.READ])


def test_a_token_without_a_plan_has_the_least(edge: Edge, contract: Contract) -> None:
    answer = edge.call("GET", "/v1/orders/ord_1", token=edge.mint(sub="cli_planless", plan=None))
    assert answer.headers["x-ratelimit-limit"] == str(contract.plans["free"][RateClass.READ])
