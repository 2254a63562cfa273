"""Invalid policies are refused with a sentence that says what to write instead."""

import re

import pytest

from contract import ContractError
from tests.contract.compiled import contract
from tests.contract.policies.samples import POLICY, ROUTE, service


def test_a_valid_policy_is_read() -> None:
    (method,) = contract(service(POLICY, ROUTE)).methods
    assert (method.full_name, method.scope, method.deadline) == ("weft.lab.v1.LabService.Try", "orders.write", 5.0)


def test_an_rpc_without_a_policy_is_refused_by_name_with_the_remedy() -> None:
    text = service(POLICY, ROUTE).replace(f"option (weft.api.v1.method) = {{ {POLICY} }};", "")
    with pytest.raises(ContractError, match=r"^weft\.lab\.v1\.LabService\.Try has no policy: add `option \(weft"):
        contract(text)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (("callers: [CALLER_USER]", ""), (ROUTE,), "has no callers: list them"),
        (("[CALLER_USER]", "[CALLER_PUBLIC, CALLER_USER]"), (ROUTE,), "mixes CALLER_PUBLIC with others"),
        (("[CALLER_USER] scope: SCOPE_ORDERS_WRITE", "[CALLER_PARTNER]"), (ROUTE,), "needs a scope"),
        (("deadline: {seconds: 5}", ""), (ROUTE,), "has no deadline: write"),
        (("rate: RATE_CLASS_WRITE", ""), (ROUTE,), "can be called from outside and has no rate class: write"),
        (("", ""), (), "has callers outside and no route: add google.api.http"),
        (("[CALLER_USER]", '[CALLER_INTERNAL] internal_callers: ["lab"]'), (ROUTE,), "is internal and has a route"),
        (("[CALLER_USER]", "[CALLER_INTERNAL]"), (), "is internal and names no service: list those that may call"),
        (
            ("deadline", 'internal_callers: ["lab"] deadline'),
            (ROUTE,),
            "names internal callers and is not internal: drop",
        ),
        (
            ("[CALLER_USER]", '[CALLER_INTERNAL] internal_callers: ["lap"]'),
            (),
            "names the internal caller 'lap', which is no service: write one of lab",
        ),
        (("", ""), (ROUTE, "option idempotency_level = IDEMPOTENT;"), "is repeatable and takes a key: drop"),
        (("key: IDEMPOTENCY_KEY_REQUIRED", ""), (ROUTE,), "is a mutation that is neither IDEMPOTENT nor keyed: write"),
        (("KEY_REQUIRED", "KEY_NONE"), (ROUTE,), "takes no key and does not say why: write `keyless_because`"),
        (("KEY_REQUIRED", 'KEY_REQUIRED keyless_because: "so"'), (ROUTE,), "says why it takes no key, but takes one"),
        (("deadline", "success: 418 deadline"), (ROUTE,), "succeeds with an unknown status: 200, 201, 202 or 204"),
        (("deadline", "success: 204 deadline"), (ROUTE,), "answers 204 with a body: return google.protobuf.Empty"),
        (("", ""), ('option (google.api.http) = {get: "/v1/tries"};',), "is a GET with side effects: say"),
        (("[CALLER_USER]", "[CALLER_UNSPECIFIED]"), (ROUTE,), "has no callers: list them"),
        (("[CALLER_USER]", "[CALLER_USER, CALLER_INTERNAL]"), (ROUTE,), "mixes CALLER_INTERNAL with others"),
        (("[CALLER_USER]", '[CALLER_PUBLIC] owner: "*"'), (ROUTE,), "is public and has an owner: drop `owner`"),
        (("callers", 'owner: "thing_id" callers'), (ROUTE,), "names thing_id, which TryRequest does not have"),
        (("", ""), (ROUTE.replace("tries", "tries/{try_id}"),), "names try_id, which TryRequest does not have"),
        (("", ""), (ROUTE.replace("*", "try"),), "has the body 'try', which TryRequest does not have"),
        (("", ""), (ROUTE.replace(' body: "*"', ""),), "is a POST without a body: write"),
        (("", ""), (ROUTE.replace("post", "delete"),), "is a DELETE with a body: drop `body`"),
        (
            ("key: IDEMPOTENCY_KEY_REQUIRED", 'key: IDEMPOTENCY_KEY_NONE keyless_because: "So."'),
            (ROUTE, "option idempotency_level = IDEMPOTENT;"),
            "is repeatable and says why it takes no key: drop",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_policy_is_refused(change: tuple[str, str], options: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ContractError, match=rf"^weft\.lab\.v1\.LabService\.Try {re.escape(sentence)}"):
        contract(service(POLICY.replace(*change), *options))


def test_nothing_is_answered_with_204() -> None:
    with pytest.raises(ContractError, match="answers nothing with 200: write `success: 204`, or 202"):
        contract(service(POLICY, ROUTE, reply="google.protobuf.Empty"))


def test_a_stream_that_takes_a_key_is_refused() -> None:
    with pytest.raises(ContractError, match="streams and takes a key, but a stream cannot be replayed: drop `key`"):
        contract(service(POLICY, ROUTE, reply="stream TryResponse"))


def test_a_reason_that_is_declared_twice_is_refused() -> None:
    reasons = "enum ErrorReason { ERROR_REASON_UNSPECIFIED = 0; GONE = 1 [(weft.api.v1.reason) = {code: NOT_FOUND}]; }"
    with pytest.raises(ContractError, match="declares a reason twice: once is enough"):
        contract(service(POLICY + ' errors: ["GONE", "GONE"]', ROUTE) + reasons)


def test_a_stream_of_requests_over_rest_is_refused() -> None:
    keyless = POLICY.replace("KEY_REQUIRED", 'KEY_NONE keyless_because: "So."')
    with pytest.raises(ContractError, match="streams requests over REST, which JSON cannot"):
        contract(service(keyless, ROUTE, request="stream TryRequest"))


def test_a_reason_that_the_package_does_not_have_is_refused() -> None:
    with pytest.raises(
        ContractError, match=r"declares GONE_FISHING, which weft\.lab\.v1\.ErrorReason does not have: add"
    ):
        contract(service(POLICY + ' errors: ["GONE_FISHING"]', ROUTE))


def reason(option: str, comment: str = "It is gone.") -> str:
    return f"enum ErrorReason {{ ERROR_REASON_UNSPECIFIED = 0;\n// {comment}\nGONE_FISHING = 1 {option}; }}"


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (reason(""), "has no code: write [(weft.api.v1.reason) = {code: NOT_FOUND}] or another."),
        (
            reason('[(weft.api.v1.reason) = {code: NOT_FOUND metadata: ["lab_id", "lab_id"]}]'),
            "names the metadata key 'lab_id' twice: once is enough.",
        ),
        (
            reason('[(weft.api.v1.reason) = {code: NOT_FOUND metadata: ["Lab"]}]'),
            "has the metadata key 'Lab': write it as `order_id`.",
        ),
        (
            reason("[(weft.api.v1.reason) = {code: NOT_FOUND}]", "It is gone. Metadata: `lab_id`."),
            "lists metadata or `RetryInfo` in its comment: write `metadata` and `retry` in its option.",
        ),
    ],
)
def test_an_invalid_reason_is_refused(declared: str, sentence: str) -> None:
    with pytest.raises(ContractError, match=rf"^weft\.lab\.v1\.ErrorReason\.GONE_FISHING {re.escape(sentence)}$"):
        contract(service(POLICY, ROUTE) + declared)


def test_a_reason_is_described_by_its_comment_its_metadata_and_its_retry() -> None:
    option = '[(weft.api.v1.reason) = {code: ABORTED metadata: ["lab_id", "state"] retry: true}]'
    read = contract(service(POLICY, ROUTE) + reason(option)).reasons["weft.lab.v1", "GONE_FISHING"]
    assert (read.metadata, read.retry, read.comment) == (("lab_id", "state"), True, "It is gone.")
    assert read.description == "It is gone. Metadata: `lab_id`, `state`. `RetryInfo` says when to try again."


def test_an_rpc_overrides_the_defaults_of_its_service_field_by_field() -> None:
    text = service("scope: SCOPE_PAYMENTS_READ", ROUTE).replace(
        "rpc Try", f"option (weft.api.v1.service) = {{ {POLICY} }}; rpc Try"
    )
    (method,) = contract(text).methods
    assert (method.scope, method.deadline, method.rate.name) == ("payments.read", 5.0, "WRITE")
