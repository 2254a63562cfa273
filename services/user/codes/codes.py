"""Requests codes, and makes them when their message is sent."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from google.protobuf.message import Message as Payload

from chassis import ids
from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.rpc.call import Call
from chassis.storage.database import Transaction
from services.user.audit.audit import Audit
from services.user.codes.domain import (
    CODE_LIFETIME,
    MAX_MESSAGES,
    REQUEST_LIFETIME,
    CodeRequest,
    CodeRequestNotFound,
    IssuedCode,
    Kind,
    Message,
    make_digits,
    make_letters,
)
from services.user.codes.repository import CodeRepository
from services.user.throttling.domain import TooManyAttempts
from services.user.users.domain import ACTIVE, INITIAL, User
from services.user.users.repository import UserRepository

DEFAULT_LOCALE = "en"


class Codes:
    """Requested codes. Whether an address has an account is looked up when the message is written, never before."""

    def __init__(
        self,
        codes: CodeRepository,
        users: UserRepository,
        inviting_partner: Callable[[str], Awaitable[str | None]],
        events: Outbox,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """`inviting_partner`: the name of the partner that an invitation is from, by the id of its request."""
        self._codes = codes
        self._inviting_partner = inviting_partner
        self._users = users
        self._events = events
        self._audit = audit
        self._clock = clock

    def new(self, kind: Kind, requester: str, address: str, user_id: str = "") -> CodeRequest:
        """A request that is not stored yet. Without a requester it replaces no other."""
        code_request_id = ids.new("cod", self._clock.now())
        return CodeRequest(code_request_id, kind, requester or code_request_id, address, user_id)

    async def request(
        self, tx: Transaction, call: Call, request: CodeRequest, event_type: str, payload: Payload
    ) -> str:
        """Store a request and ask for its message, with an event of this type and payload, whose `code_request_id` is set.

        Returns that id.

        Raises `TooManyAttempts` when the request has had its messages.
        """
        requested = await self._codes.upsert(tx, request, self._clock.now())
        if requested.messages > MAX_MESSAGES:
            raise TooManyAttempts(retry_after=REQUEST_LIFETIME[request.kind])
        payload.code_request_id = requested.code_request_id  # type: ignore[attr-defined]
        event = outbox.event(
            self._clock,
            type=event_type,
            aggregate_id=requested.code_request_id,
            sequence=requested.messages,
            payload=payload,
            actor=call.caller.actor,
            user_id=request.user_id,
        )
        await self._events.put(tx, event)
        subject = request.user_id or requested.code_request_id
        await self._audit.record(tx, call, request.kind.action, subject=subject)
        return requested.code_request_id

    async def issue(self, code_request_id: str) -> IssuedCode:
        """The message of a request, with a new code that replaces the previous one. Raises `CodeRequestNotFound`."""
        request = await self._codes.get(code_request_id, self._clock.now())
        if request is None:
            raise CodeRequestNotFound(code_request_id=code_request_id)
        if request.kind is Kind.PASSWORD_RESET:
            return await self._for_reset(request)
        if request.kind is Kind.INVITATION:
            return await self._for_invitation(request)
        user = await self._users.get(request.user_id)
        if user is not None and request.kind is Kind.EMAIL_CHANGED:
            return IssuedCode(Message.ADDRESS_CHANGED, user.locale, email=request.address)
        if user is None or not user.may_sign_in:
            raise CodeRequestNotFound(code_request_id=code_request_id)
        if request.kind is Kind.PHONE:
            return await self._with_code(
                request, make_digits(), IssuedCode(Message.CODE, user.locale, phone=request.address)
            )
        return await self._for_email_change(request, user)

    async def _for_reset(self, request: CodeRequest) -> IssuedCode:
        """Only an open account of a person has a password to reset. An invited one is opened by signing up."""
        user = await self._users.get_person(request.address)
        if user is None or user.state == INITIAL:
            locale = user.locale if user else DEFAULT_LOCALE
            return IssuedCode(Message.NO_ACCOUNT, locale, email=request.address)
        if user.state != ACTIVE:
            return IssuedCode(Message.ACCOUNT_CLOSED, user.locale, email=user.email)
        return await self._with_code(request, make_letters(), IssuedCode(Message.CODE, user.locale, email=user.email))

    async def _for_invitation(self, request: CodeRequest) -> IssuedCode:
        """Whoever has the address may accept, with an account or after signing up."""
        partner_name = await self._inviting_partner(request.code_request_id)
        if partner_name is None:
            raise CodeRequestNotFound(code_request_id=request.code_request_id)
        user = await self._users.get_person(request.address)
        locale = user.locale if user else DEFAULT_LOCALE
        issued = IssuedCode(Message.CODE, locale, email=request.address, partner_name=partner_name)
        return await self._with_code(request, make_letters(), issued)

    async def _for_email_change(self, request: CodeRequest, user: User) -> IssuedCode:
        if await self._users.get_person(request.address) is not None:
            return IssuedCode(Message.ADDRESS_TAKEN, user.locale, email=request.address)
        issued = IssuedCode(Message.CODE, user.locale, email=request.address)
        return await self._with_code(request, make_digits(), issued)

    async def _with_code(self, request: CodeRequest, code: str, issued: IssuedCode) -> IssuedCode:
        expires_at = self._clock.now() + CODE_LIFETIME[request.kind]
        if not await self._codes.update_code(request, code, expires_at):
            raise CodeRequestNotFound(code_request_id=request.code_request_id)
        return replace(issued, code=code, expires_at=expires_at)
