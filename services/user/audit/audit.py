"""Writes the audit trail, in the transaction of the change."""

from collections.abc import Iterable
from dataclasses import replace

from chassis import errors, ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Transaction
from services.user.audit.domain import AuditEvent
from services.user.audit.repository import AuditRepository


class Audit:
    """What handlers and use cases record changes with."""

    def __init__(self, events: AuditRepository, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    async def record(
        self,
        tx: Transaction,
        call: Call,
        action: str,
        *,
        subject: str,
        fields: Iterable[str] = (),
        actor: str = "",
        session_id: str = "",
    ) -> None:
        """Record that a call changes `subject`. `action` has to be one of the RPC's `audit` in the contract.

        `fields` are the names of what changes, never values. `actor` and `session_id` name who proved to be somebody in
        the course of a call that has no token, such as a sign-in. Raises `LookupError` for an undeclared action.
        """
        if action not in call.method.audit:
            raise LookupError(f"{call.method.full_name} does not declare {action} under `audit`")
        caller = call.caller
        event = replace(
            self._event(actor or caller.actor, action, subject, fields),
            on_behalf_of=caller.partner_id,
            client_id=caller.client_id,
            session_id=session_id or caller.session_id,
            mode=caller.mode,
            request_id=call.request_id,
            address=call.client_address,
        )
        await self._events.insert(tx, event)
        if errors.observer is not None:
            errors.observer(call.method.full_name, action)

    async def record_command(
        self, tx: Transaction, command: str, action: str, *, subject: str, fields: Iterable[str] = ()
    ) -> None:
        """Record a change by a command or a job of the service itself, such as `bootstrap`; its actor is `command:bootstrap`."""
        await self._events.insert(tx, self._event(f"command:{command}", action, subject, fields))

    def _event(self, actor: str, action: str, subject: str, fields: Iterable[str]) -> AuditEvent:
        now = self._clock.now()
        names = tuple(sorted(fields))
        return AuditEvent(ids.new("aud", now), actor, subject, action, names, now)
