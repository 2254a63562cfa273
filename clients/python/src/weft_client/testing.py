"""Fakes for tests: any call of Weft, answered in process over a real socket, with faults on demand.

    with weft_client.testing.Fakes() as fakes:
        fakes.reply("orders.get_order", Order(order_id="ord_1"))
        fakes.fail("orders.get_order", errors.Unavailable(), times=2)
        with fakes.weft() as weft:
            assert weft.orders.get_order(order_id="ord_1").order_id == "ord_1"
        assert len(fakes.calls("orders.get_order")) == 3

A fake keeps to the contract: replies have the call's type, errors are those that the call may answer with, and a repeated
idempotency key gets the first reply again.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from google.api import httpbody_pb2
from google.protobuf import empty_pb2
from google.protobuf.message import Message

from weft_client import failures
from weft_client.calls.method import Method
from weft_client.credentials import Bearer
from weft_client.generated import methods
from weft_client.generated.aio.weft import AsyncWeft
from weft_client.generated.blocking.weft import Weft
from weft_client.tls import Plaintext

Answer = Callable[[Any], Any]
"""A request → the reply, or for a stream its messages. It may raise `WeftError`."""

_STATUS = "grpc-status-details-bin"
_IMPLIED = "weft.api.v1"
"""The domain of the reasons that every call may answer with."""


@dataclass(frozen=True)
class Received:
    """What a fake was sent: one for each attempt."""

    name: str
    request: Any
    metadata: Mapping[str, str | bytes]

    @property
    def idempotency_key(self) -> str:
        """Empty where the call takes none."""
        return str(self.metadata.get("idempotency-key", ""))


class Fakes:
    """A server with a fake for each call that has an answer. Calls are named `orders.create_order`."""

    def __init__(
        self, *, known: Mapping[str, Method[Any, Any]] | None = None, credentials: grpc.ServerCredentials | None = None
    ) -> None:
        """`known`: which calls there are, where not the public ones. `credentials`: serve over TLS."""
        self._known = known if known is not None else methods.BY_NAME
        self._names = {method.path: name for name, method in self._known.items()}
        self._answers: dict[str, Answer] = {}
        self._faults: dict[str, list[failures.WeftError | float]] = defaultdict(list)
        self._received: list[Received] = []
        self._replies: dict[tuple[str, str], tuple[Message, Message]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        if "oauth.token" in self._known:
            self._answers["oauth.token"] = _issue
        self._server = grpc.server(futures.ThreadPoolExecutor(16, "weft-fakes"), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Handlers(self._handler),))
        listen = "127.0.0.1:0"
        port = (
            self._server.add_secure_port(listen, credentials)
            if credentials is not None
            else self._server.add_insecure_port(listen)
        )
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    # What tests say

    def reply(self, name: str, *messages: Any) -> None:
        """Answer a call with this message; a stream with these, a call without a reply with none."""
        method = self._method(name)
        kind = method.reply
        if wrong := [message for message in messages if not isinstance(message, kind)]:
            raise TypeError(f"{name} answers with {kind.__name__}, not {type(wrong[0]).__name__}.")
        if method.streaming:
            self._answers[name] = lambda _: iter(messages)
        elif messages or kind is empty_pb2.Empty:
            self._answers[name] = lambda _: messages[0] if messages else empty_pb2.Empty()
        else:
            raise TypeError(f"{name} answers with {kind.__name__}: give one.")

    def on(self, name: str) -> Callable[[Answer], Answer]:
        """Decorates the function that answers a call: it gets the request; for a stream it yields."""
        self._method(name)

        def keep(answer: Answer) -> Answer:
            self._answers[name] = answer
            return answer

        return keep

    def fail(self, name: str, error: failures.WeftError, times: int = 1) -> None:
        """Let the next attempts of a call fail. Raises `ValueError` for a reason that the contract does not give it."""
        self._refuse_undeclared(name, error)
        self._faults[name] += [error] * times

    def delay(self, name: str, seconds: float, times: int = 1) -> None:
        """Delay the answers to the next attempts of a call by `seconds`."""
        self._method(name)
        self._faults[name] += [seconds] * times

    def calls(self, name: str) -> list[Received]:
        """What was received for a call, each attempt once, in order."""
        self._method(name)
        with self._lock:
            return [received for received in self._received if received.name == name]

    def weft(self, **options: Any) -> Weft:
        """A blocking client of these fakes; options as for `Weft`."""
        return Weft(self.address, **{"tls": Plaintext(), "auth": Bearer("test"), **options})

    def async_weft(self, **options: Any) -> AsyncWeft:
        """An asyncio client of these fakes; options as for `AsyncWeft`."""
        return AsyncWeft(self.address, **{"tls": Plaintext(), "auth": Bearer("test"), **options})

    def close(self) -> None:
        """Stop serving; calls that still run are cut."""
        self._ended.set()
        self._server.stop(0).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the server asks

    def _method(self, name: str) -> Method[Any, Any]:
        if name not in self._known:
            raise ValueError(f"There is no call {name}; it would read like orders.create_order.")
        return self._known[name]

    def _refuse_undeclared(self, name: str, error: failures.WeftError) -> None:
        declared = self._method(name).errors
        domain = error.domain or next((d.partition("/")[0] for d in declared if d.endswith(f"/{error.reason}")), "")
        if error.reason and domain != _IMPLIED and f"{domain}/{error.reason}" not in declared:
            raise ValueError(f"The contract does not let {name} answer {error.reason}.")
        error.domain = domain

    def _handler(self, path: str) -> grpc.RpcMethodHandler[Any, Any] | None:
        name = self._names.get(path)
        if name is None:
            return None
        method = self._known[name]
        make: Any = grpc.unary_stream_rpc_method_handler if method.streaming else grpc.unary_unary_rpc_method_handler
        serve = self._serve_stream if method.streaming else self._serve
        handler: grpc.RpcMethodHandler[Any, Any] = make(
            lambda request, context: serve(name, method, request, context),
            request_deserializer=method.request.FromString,
            response_serializer=method.reply.SerializeToString,
        )
        return handler

    def _serve(self, name: str, method: Method[Any, Any], request: Any, context: grpc.ServicerContext) -> Any:
        received = self._receive(name, request, context)
        key = (name, received.idempotency_key)
        stored = self._replies.get(key) if method.keyed else None
        try:
            if stored is not None:
                if stored[0] != request:
                    raise _reused()
                return stored[1]
            reply = self._answer(name)(request)
        except failures.WeftError as error:
            self._abort(name, error, context)
        if not isinstance(reply, method.reply):
            raise TypeError(f"The fake of {name} returned {type(reply).__name__}, not {method.reply.__name__}.")
        if method.keyed:
            self._replies[key] = (request, reply)
        return reply

    def _serve_stream(
        self, name: str, _: Method[Any, Any], request: Any, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        self._receive(name, request, context)
        try:
            messages: Iterable[Any] = self._answer(name)(request)
            yield from messages
        except failures.WeftError as error:
            self._abort(name, error, context)

    def _receive(self, name: str, request: Any, context: grpc.ServicerContext) -> Received:
        metadata = {str(key): value for key, value in context.invocation_metadata()}
        received = Received(name, request, metadata)
        with self._lock:
            self._received.append(received)
            fault = self._faults[name].pop(0) if self._faults[name] else None
        if isinstance(fault, failures.WeftError):
            self._abort(name, fault, context)
        elif fault is not None:
            self._ended.wait(fault)
        return received

    def _answer(self, name: str) -> Answer:
        if name in self._answers:
            return self._answers[name]
        raise failures.Unimplemented(f"No fake answers {name}: say how with reply() or on().")

    def _abort(self, name: str, error: failures.WeftError, context: grpc.ServicerContext) -> Any:
        self._refuse_undeclared(name, error)
        status = failures.to_status(error)
        if status.details:
            context.set_trailing_metadata(((_STATUS, status.SerializeToString()),))
        context.abort(error.code, error.message)


class _Handlers(grpc.GenericRpcHandler):
    """Looks handlers up by path."""

    def __init__(self, find: Callable[[str], grpc.RpcMethodHandler[Any, Any] | None]) -> None:
        self._find = find

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a path."""
        return self._find(handler_call_details.method)


def _issue(_: Any) -> httpbody_pb2.HttpBody:
    """A token for whoever asks, so that code under test can bring its own credentials."""
    token = {"access_token": "fake", "token_type": "Bearer", "expires_in": 900}
    return httpbody_pb2.HttpBody(content_type="application/json", data=json.dumps(token).encode())


def _reused() -> failures.WeftError:
    return failures.BY_REASON[_IMPLIED, "IDEMPOTENCY_KEY_REUSED"]("The key was used with another request.")
