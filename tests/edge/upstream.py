"""A gRPC server that answers every RPC of the contract, so that the edge is seen alone.

Request headers steer it: `x-test-sleep` and `x-test-hold` (seconds before an answer, and before the end of a stream), `x-test-error` (`NOT_FOUND`, or `bare:NOT_FOUND` without details),
`x-test-bytes` (length of a reply's first string), `x-test-trailer` (length of a trailer of an error), `x-test-violations`
(fields of a request that is invalid), `x-test-cookie` (a `set-cookie` of the reply). It answers as the chassis does: success codes as `x-http-status`.
"""

import json
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf import any_pb2, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from chassis.rpc import servers
from contract import Contract, Method


class Upstream(grpc.GenericRpcHandler):
    """All services of a contract on one address."""

    def __init__(
        self, contract: Contract, jwks: dict[str, Any], credentials: grpc.ServerCredentials | None = None
    ) -> None:
        self.calls: list[tuple[Method, Message, dict[str, str]]] = []
        self.jwks: dict[str, Any] | None = jwks
        self.release = threading.Event()
        self._contract = contract
        sizes = [option for option in servers.options(contract) if "metadata_size" in option[0]]
        self._server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0), *sizes])
        self._server.add_generic_rpc_handlers((self,))
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        port = (
            self._server.add_secure_port("127.0.0.1:0", credentials)
            if credentials
            else self._server.add_insecure_port("127.0.0.1:0")
        )
        self.address = f"127.0.0.1:{port}"

    def __enter__(self) -> "Upstream":
        self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.stop(0).wait()

    @property
    def last(self) -> tuple[Method, Message, dict[str, str]]:
        """The newest call: method, request, metadata."""
        return self.calls[-1]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of any RPC of the contract."""
        method = self._contract.by_path.get(handler_call_details.method)
        if method is None:
            return None
        request = self._class(method.input)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(
                lambda message, context: self._stream(method, message, context),
                request.FromString,
                lambda reply: reply.SerializeToString(),
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda message, context: self._answer(method, message, context),
            request.FromString,
            lambda reply: reply.SerializeToString(),
        )

    def _class(self, name: str) -> type[Message]:
        return message_factory.GetMessageClass(self._contract.pool.FindMessageTypeByName(name))

    def _answer(self, method: Method, request: Message, context: grpc.ServicerContext) -> Message:
        metadata = self._note(method, request, context)
        if method.name == "GetJwks":
            if self.jwks is None:
                context.abort(grpc.StatusCode.INTERNAL, "no keys")
            return httpbody_pb2.HttpBody(content_type="application/json", data=json.dumps(self.jwks).encode())
        if method.output == "google.api.HttpBody":
            return httpbody_pb2.HttpBody(content_type="application/json", data=b'{"access_token":"t"}')
        headers = [("x-request-id", metadata.get("x-request-id", ""))]
        if method.success != 200:
            headers.append(("x-http-status", str(method.success)))
        if "x-test-cookie" in metadata:
            headers.append(("set-cookie", metadata["x-test-cookie"]))
        if method.success == 201:
            headers.append(("location", "/v1/things/1"))
        context.send_initial_metadata(headers)
        reply = self._class(method.output)()
        if "x-test-bytes" in metadata:
            first = next(field for field in reply.DESCRIPTOR.fields if field.type == field.TYPE_STRING)
            setattr(reply, first.name, "x" * int(metadata["x-test-bytes"]))
        return reply

    def _stream(self, method: Method, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        metadata = self._note(method, request, context)
        for number in range(3):
            message = self._class(method.output)
            yield message(cursor=f"c{number}") if "cursor" in message.DESCRIPTOR.fields_by_name else message()
        if "x-test-hold" in metadata:
            wanted = context.time_remaining()  # as the chassis does, it ends before its caller's deadline
            most = float(metadata["x-test-hold"])
            self.release.wait(most if wanted is None else min(most, max(0, wanted - 1)))

    def _note(self, method: Method, request: Message, context: grpc.ServicerContext) -> dict[str, str]:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        metadata["seconds left"] = str(context.time_remaining() or 0)
        if method.name != "GetJwks":  # which the edge asks for by itself, at any time
            self.calls.append((method, request, metadata))
        if "x-test-sleep" in metadata:
            self.release.wait(float(metadata["x-test-sleep"]))
        bare, _, code = metadata.get("x-test-error", "").rpartition(":")
        fields = metadata.get("x-test-violations", "").split(",")
        if fields != [""]:
            violations = [
                error_details_pb2.BadRequest.FieldViolation(field=name, description="is odd") for name in fields
            ]
            _fail(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                metadata.get("x-request-id", "-"),
                0,
                error_details_pb2.BadRequest(field_violations=violations),
            )
        if code:
            size = int(metadata.get("x-test-trailer", "0"))
            _fail(context, grpc.StatusCode[code], "" if bare else metadata.get("x-request-id", "-"), size)
        return metadata


def _fail(context: grpc.ServicerContext, code: grpc.StatusCode, request_id: str, size: int, *more: Message) -> None:
    if size:
        context.set_trailing_metadata([("x-test", "x" * size)])
    elif request_id:
        status = status_pb2.Status(code=code.value[0], message="It failed.")
        for detail in (
            error_details_pb2.ErrorInfo(reason="ORDER_NOT_FOUND", domain="weft.order.v1"),
            error_details_pb2.RequestInfo(request_id=request_id),
            *more,
        ):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(code, "It failed.")
