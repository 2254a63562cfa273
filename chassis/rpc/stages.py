"""The stages of a call on its way in. Each is made for a method at start and wraps the next; see `chain` for their order.

All serve the four kinds of RPC: for a stream of replies the innermost stage writes the messages, so that what surrounds
a call surrounds the whole stream.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import grpc
import psycopg
from google.protobuf.message import Message
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from weft_client import context as handed_on

from chassis import errors
from chassis.errors import WeftError
from chassis.faults import catalogue, switches
from chassis.rpc import call as calls
from chassis.rpc import load_faults, resource_ids
from chassis.rpc.call import Call
from chassis.rpc.deadlines import TimeLimit
from chassis.rpc.idempotency import Replies, collided
from chassis.rpc.requests import validation as request_validation
from chassis.rpc.stream_quota import StreamQuota
from chassis.security.revocations import Revocations
from chassis.security.tokens import TokenVerifier
from chassis.telemetry.call_metrics import FAILURES, Outcomes
from chassis.telemetry.logs import logger
from chassis.telemetry.tracing import Tracer
from chassis.telemetry.usage import Usage
from contract import Contract, Key, Method, Reason
from contract.sensitive import Sensitive

Next = Callable[[Call], Awaitable[bytes | None]]
Stage = Callable[["ServerContext", Method, Next], Next]
log = logger("chain")
FAULT_WAIT_S = 3.0
"""Of a call while the failure switch `calls-wait` is on."""


@dataclass
class ServerContext:
    """What the stages of all methods share."""

    contract: Contract
    tracer: Tracer
    tokens: TokenVerifier
    revocations: Revocations
    replies: Replies | None
    trusted_callers: frozenset[str]
    """Names in certificates that every internal RPC takes beside those that its policy lists: an operator's tools."""
    max_concurrent_calls: int
    stream_quota: StreamQuota
    usage: Usage
    calls: int = 0
    in_flight: int = 0
    waited_for: int = 0
    """Those in flight for which somebody outside waits: neither internal nor a stream."""
    streams: int = 0


def telemetry(server: ServerContext, method: Method, next_: Next) -> Next:
    """First, so that everything else happens within the span and is counted: span, metrics, request id."""
    name, attributes = method.path[1:], {"rpc.system.name": "grpc", "rpc.method": method.path[1:]}
    outcomes, start, usage = Outcomes(name), server.tracer.start, server.usage
    waited_for = 0 if method.server_streaming or method.internal else 1

    async def run(call: Call) -> bytes | None:
        begun = time.perf_counter()
        server.calls += 1
        server.in_flight += 1
        server.waited_for += waited_for
        span = call.span = start(name, call.traceparent, SpanKind.SERVER, attributes, call.client_traceparent)
        if span.is_recording():
            span.set_attribute("weft.request_id", call.request_id)
        contexts.attach(trace.set_span_in_context(span))  # the task is the call's own: nothing to detach
        calls.current.set(call)
        code = grpc.StatusCode.CANCELLED
        try:
            if switches.on(catalogue.CALLS_WAIT):
                await asyncio.sleep(FAULT_WAIT_S)
            reply = await next_(call)
            code = grpc.StatusCode.OK
            return reply
        except Refused as refused:
            code = refused.code
            raise refused.abort from None
        finally:
            recorded = span if span.is_recording() else None
            if recorded:
                recorded.set_attribute("rpc.response.status_code", code.name)
                if code in FAILURES:
                    recorded.set_attribute("error.type", code.name)
                    recorded.set_status(StatusCode.ERROR)
                recorded.end()
            server.in_flight -= 1
            server.waited_for -= waited_for
            caller = call.caller
            if caller.is_partner and caller.client_id:
                usage.count(caller.partner_id, caller.client_id, caller.mode, method.full_name, code.name)
            outcomes[code].observe(begun, time.perf_counter(), recorded)

    return run


class Refused(Exception):
    """A call that was answered with an error: its code, and the exception by which grpc ends the call."""

    def __init__(self, code: grpc.StatusCode, abort: BaseException) -> None:
        self.code = code
        self.abort = abort


def error_mapping(server: ServerContext, method: Method, next_: Next) -> Next:
    """Around everything that may raise: the one place where an exception becomes a status with details."""
    shared = [reason for reason in server.contract.reasons.values() if reason.domain == WeftError.domain]
    declared = {(reason.domain, reason.name): reason for reason in (*shared, *method.errors)}

    async def run(call: Call) -> bytes | None:
        try:
            return await next_(call)
        except WeftError as error:
            raised = error
        except Exception as error:
            passing = load_faults.passing(error)
            if passing is None:
                log.exception("call_failed", method=method.full_name)
            elif not isinstance(error, TimeoutError):
                cause = getattr(error, "sqlstate", None) or type(error).__name__
                log.warning("call_interrupted", method=method.full_name, reason=passing.reason, cause=cause)
            raised = passing or errors.InternalFault()
        _log_undeclared(method, raised, declared.get((raised.domain, raised.reason)))
        if errors.observer is not None:
            errors.observer(method.full_name, raised.reason)
        status = raised.status(call.request_id)
        try:
            await call.context.abort(
                raised.code, status.message, (("grpc-status-details-bin", status.SerializeToString()),)
            )
        except grpc.aio.AbortError as abort:
            raise Refused(raised.code, abort) from raised
        raise AssertionError("abort returned")

    return run


def _log_undeclared(method: Method, raised: WeftError, reason: Reason | None) -> None:
    """The caller gets the error all the same: it is the contract that has to declare it."""
    if reason is None:
        log.error("undeclared_reason", method=method.full_name, domain=raised.domain, reason=raised.reason)
    elif undeclared := sorted(raised.metadata.keys() - set(reason.metadata)):
        log.error("undeclared_metadata", method=method.full_name, reason=raised.reason, keys=undeclared)
    elif raised.retry_after is not None and not reason.retry:
        log.error("undeclared_retry", method=method.full_name, reason=raised.reason)


def admission(server: ServerContext, method: Method, next_: Next) -> Next:
    """Before any work is done: shed load while a refusal is cheap, and limit the time of a call."""
    max_calls, max_time, streaming = server.max_concurrent_calls, method.deadline, method.server_streaming
    limit = TimeLimit(max_time)

    async def run(call: Call) -> bytes | None:
        # An open stream is mostly idle: streams have a limit of their own and do not count as calls.
        if (server.streams >= max_calls) if streaming else (server.in_flight - server.streams > max_calls):
            raise errors.Overloaded(retry_after=timedelta(seconds=1))
        caller_left = call.context.time_remaining()
        left = max_time if caller_left is None else min(caller_left, max_time)
        call.deadline = time.monotonic() + left
        handed_on.deadline.set(call.deadline)
        handed_on.authorization.set(call.authorization)
        handed_on.request_id.set(call.request_id)
        if streaming:  # a stream ends itself, with a last message that says why
            server.streams += 1
            try:
                return await next_(call)
            finally:
                server.streams -= 1
        if caller_left is not None and caller_left <= max_time:  # grpc enforces the caller's own deadline
            return await next_(call)
        return await limit.enforce(next_(call))

    return run


def stream_quota(server: ServerContext, method: Method, next_: Next) -> Next:
    """After authorization, because it counts by caller: open streams are limited, so that no caller takes all of them."""
    if not method.server_streaming:
        return next_
    quota = server.stream_quota

    async def run(call: Call) -> bytes | None:
        with quota.place(call.caller):
            return await next_(call)

    return run


def validation(server: ServerContext, method: Method, next_: Next) -> Next:
    """Before the handler, which may rely on the contract's bounds. The request is bytes until here."""
    read, ids_of = request_validation.reader(method, server.contract), resource_ids.of_request(server.contract, method)
    if method.client_streaming:

        async def run_stream(call: Call) -> bytes | None:
            call.request = _each(call.request, read)
            return await next_(call)

        return run_stream

    async def run(call: Call) -> bytes | None:
        call.request = read(call.request)
        if call.span.is_recording():
            call.span.set_attributes(ids_of(call.request))
        return await next_(call)

    return run


async def _each(requests: AsyncIterator[bytes], read: Callable[[bytes], Message]) -> AsyncIterator[Message]:
    async for request in requests:
        yield read(request)


def idempotency(server: ServerContext, method: Method, next_: Next) -> Next:
    """Right around the handler: a key's second call gets the first one's reply, and only of a request that is valid."""
    replies = server.replies
    if method.key not in (Key.REQUIRED, Key.ACCEPTED) or replies is None:
        return next_
    required, sensitive = method.key is Key.REQUIRED, Sensitive(server.contract, method.output)

    async def run(call: Call) -> bytes | None:
        if call.idempotency_key is None:
            if required:
                raise errors.IdempotencyKeyMissing()
            return await next_(call)
        if not _KEY.fullmatch(call.idempotency_key):
            raise errors.IdempotencyKeyInvalid()
        key = replies.key(call.caller.acting, method.path, call.idempotency_key, call.request, sensitive)
        try:
            turn = await replies.turn(key)
        except asyncio.CancelledError:
            raise errors.IdempotencyKeyInUse(retry_after=timedelta(seconds=1)) from None
        try:
            call.key = key
            return await next_(call)
        except (WeftError, psycopg.Error) as error:
            # The first call may have caused this error: its stored reply takes precedence.
            stored = await replies.find(key)
            if stored is None:
                if collided(error):
                    raise errors.IdempotencyKeyInUse(retry_after=timedelta(seconds=1)) from error
                raise
            call.set_header("idempotency-replayed", "true")
            return stored
        finally:
            replies.end(key, turn)

    return run


_KEY = re.compile(r"[\x21-\x7e]{1,255}")
