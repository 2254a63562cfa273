"""The three protocols of the edge, and what a refusal looks like behind each."""

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import contract
from codegen import statuses

_CONTRACT = contract.load()
LEAKS = re.compile(
    r"127\.0\.0\.1|envoy|upstream|cluster|Traceback|jwt_authn|transcod|\.py\b|type\.googleapis\.com/weft", re.I
)
TYPES = {
    f"type.googleapis.com/google.rpc.{kind}": getattr(error_details_pb2, kind)
    for kind in ("ErrorInfo", "BadRequest", "RetryInfo", "RequestInfo")
}


@dataclass(frozen=True)
class Refusal:
    """An error as a caller got it. `status` is HTTP's, 0 over native gRPC."""

    status: int
    code: int
    message: str
    info: error_details_pb2.ErrorInfo
    violations: dict[str, str]
    retry: bool
    headers: dict[str, str]


def assert_refusal(
    found: Refusal | httpx.Response | grpc.RpcError,
    reason: str,
    /,
    violations: Mapping[str, str] | None = None,
    **metadata: str,
) -> Refusal:
    """As `tests.harness.assert_refusal`, of what the edge answers: in its format, with the status of its reason.

    `violations` has all fields that the refusal names, as the caller wrote them, each with words of its description.
    """
    if isinstance(found, httpx.Response):
        found = of_response(found)
    elif not isinstance(found, Refusal):
        found = of_call(found)
    declared = _CONTRACT.reasons.get((found.info.domain, found.info.reason))
    assert declared is not None, f"{found} has no reason of the contract"
    assert (found.info.reason, found.code) == (reason, declared.code), found
    assert found.status in (0, statuses.of(declared)) or (found.status, reason) == (505, "HTTP_MALFORMED"), found
    words = violations or {}
    assert found.violations.keys() == words.keys(), found
    assert all(words[field] in description for field, description in found.violations.items()), found
    assert not metadata or dict(found.info.metadata) == metadata, found
    return found


def reason_of(found: httpx.Response | grpc.RpcError) -> str:
    """Why a call was refused; empty if it was answered."""
    if isinstance(found, httpx.Response):
        return of_response(found).info.reason if found.status_code >= 400 else ""
    return of_call(found).info.reason


def of_response(response: httpx.Response) -> Refusal:
    """Read an HTTP error and hold it to the one format."""
    assert response.headers["content-type"] == "application/json", response.headers
    assert not LEAKS.search(response.text), response.text
    body = response.json()
    assert set(body) == {"code", "message", "details"}, body
    details = [_detail(detail) for detail in body["details"]]
    refusal = _refusal(response.status_code, body["code"], body["message"], details, dict(response.headers))
    ids = [detail.request_id for detail in details if isinstance(detail, error_details_pb2.RequestInfo)]
    assert ids in ([], [response.headers.get("x-request-id", "")]), (ids, response.headers)
    return refusal


def of_call(error: grpc.RpcError) -> Refusal:
    """Read a native gRPC error: its status has to agree with its details."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None, f"{error.code()} {error.details()} has no details"
    assert not LEAKS.search(status.message), status.message
    details = []
    for packed in status.details:
        message = TYPES[packed.type_url]()
        assert packed.Unpack(message)
        details.append(message)
    metadata = [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]
    headers = {key: value for key, value in metadata if isinstance(value, str)}
    return _refusal(0, status.code, status.message, details, headers)


def parsed(answer: bytes) -> httpx.Response:
    """A response of HTTP/1.1, as it comes over a connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return httpx.Response(int(status.split()[1]), headers=[tuple(line.split(": ", 1)) for line in lines], content=body)


def rest(
    url: str, version: int, method: str, path: str, headers: dict[str, str], body: dict[str, Any]
) -> httpx.Response:
    """One request over HTTP/1.1 or HTTP/2 (with prior knowledge)."""
    with httpx.Client(base_url=url, http1=version == 1, http2=version == 2, timeout=30) as client:
        return client.request(method, path, headers=headers, **body)


def native(target: str, path: str, request: bytes, metadata: Sequence[tuple[str, str]]) -> bytes:
    """One unary call over native gRPC, as bytes. Raises `grpc.RpcError`."""
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(path, lambda data: data, lambda data: data)
        reply: bytes = call(request, metadata=metadata, timeout=30)
        return reply


def trusting(authority: str | Path) -> ssl.SSLContext:
    """A caller that trusts the mesh's authority."""
    return ssl.create_default_context(cafile=str(authority))


def _detail(detail: dict[str, Any]) -> Any:
    fields = {key: value for key, value in detail.items() if key != "@type"}
    return json_format.ParseDict(fields, TYPES[detail["@type"]]())


def _refusal(status: int, code: int, message: str, details: list[Any], headers: dict[str, str]) -> Refusal:
    infos = [detail for detail in details if isinstance(detail, error_details_pb2.ErrorInfo)]
    assert len(infos) == 1, details
    assert message
    requests = [detail for detail in details if isinstance(detail, error_details_pb2.BadRequest)]
    violations = {each.field: each.description for request in requests for each in request.field_violations}
    retry = any(isinstance(detail, error_details_pb2.RetryInfo) for detail in details)
    return Refusal(status, code, message, infos[0], violations, retry, headers)
