"""The stage of a call that finds out who calls."""

from __future__ import annotations

from chassis import errors
from chassis.rpc.call import Call
from chassis.rpc.stages import Next, ServerContext
from chassis.security import identity, networks
from chassis.security.identity import Identity
from contract import Caller, Method


def authentication(server: ServerContext, method: Method, next_: Next) -> Next:
    """Before authorization, which needs the caller: the verified token that is not revoked, or the certificate for internal RPCs."""
    if Caller.INTERNAL in method.callers:
        return _certified(server, method, next_)
    if method.public:
        return next_
    tokens, revocations, writes = server.tokens, server.revocations, not method.read_only

    async def identify(call: Call) -> Identity:
        if not call.authorization:
            raise errors.TokenMissing()
        caller = call.caller = tokens.remembered(call.authorization) or await tokens.identify(call.authorization)
        if caller.networks and not networks.contain(caller.networks, call.client_address):
            raise errors.AddressNotAllowed()
        if not revocations.ready:
            await revocations.first()
        try:
            revocations.check(caller, writes)
        except errors.TokenRevoked:
            if not method.revoked_tokens:
                raise
        return caller

    async def run(call: Call) -> bytes | None:
        await identify(call)
        return await next_(call)

    async def run_stream(call: Call) -> bytes | None:
        async with revocations.until_revoked(await identify(call)):
            return await next_(call)

    return run_stream if method.server_streaming else run


def _certified(server: ServerContext, method: Method, next_: Next) -> Next:
    services = method.internal_callers | server.trusted_callers

    async def run(call: Call) -> bytes | None:
        call.caller = identity.of_certificate(call.context.auth_context(), services)
        return await next_(call)

    return run
