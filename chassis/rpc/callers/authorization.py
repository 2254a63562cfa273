"""The stage of a call that decides whether its caller may make it."""

from __future__ import annotations

from chassis import errors
from chassis.rpc.call import Call
from chassis.rpc.stages import Next, ServerContext
from contract import Method


def authorization(server: ServerContext, method: Method, next_: Next) -> Next:
    """Decides, by the policy, whether the caller may make the call at all: its kind, and the scopes of its token.

    Before the request is looked at: callers without permission learn nothing from validation. Whose things a caller may see
    is decided later, by the queries with the predicates of the service's `ownership.py`.
    """
    callers, scope, apps = method.callers, method.scope, method.apps
    accepted = server.contract.accepted_scopes(scope)
    who = ", ".join(sorted(caller.name for caller in callers))

    async def run(call: Call) -> bytes | None:
        caller = call.caller
        # What needs no scope is for the user in person: passwords, sessions, and consents themselves.
        if not callers & caller.kinds or (caller.is_app and not apps):
            raise errors.CallerNotAllowed(callers=who)
        if scope and accepted.isdisjoint(caller.scopes):
            raise errors.ScopeMissing(scope=scope)
        return await next_(call)

    return run
