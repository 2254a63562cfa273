"""Messages about one-time codes: who receives them, and which code, is asked for when they are sent."""

from collections.abc import Mapping
from typing import NamedTuple

from weft.user.v1.one_time_code_pb2 import (
    CODE_MESSAGE_ACCOUNT_CLOSED,
    CODE_MESSAGE_ADDRESS_CHANGED,
    CODE_MESSAGE_ADDRESS_TAKEN,
    CODE_MESSAGE_CODE,
    CODE_MESSAGE_NO_ACCOUNT,
    CodeMessage,
)

from services.notification.deliveries.domain import Delivery, Reason
from services.notification.observers.users import (
    EMAIL_CHANGE,
    EMAIL_CHANGED,
    INVITATION,
    PASSWORD_RESET,
    PHONE_VERIFICATION,
    VERIFICATION,
)
from services.notification.recipients import IssuedCode, Recipients, RequestEnded

ABOUT_CODES: Mapping[str, Mapping["CodeMessage.ValueType", str]] = {
    VERIFICATION: {
        CODE_MESSAGE_CODE: VERIFICATION,
        CODE_MESSAGE_ADDRESS_TAKEN: "user.sign_up_repeated",
    },
    PASSWORD_RESET: {
        CODE_MESSAGE_CODE: PASSWORD_RESET,
        CODE_MESSAGE_NO_ACCOUNT: "user.password_reset_without_account",
        CODE_MESSAGE_ACCOUNT_CLOSED: "user.password_reset_of_closed_account",
    },
    EMAIL_CHANGE: {
        CODE_MESSAGE_CODE: EMAIL_CHANGE,
        CODE_MESSAGE_ADDRESS_TAKEN: "user.email_change_to_taken_address",
    },
    EMAIL_CHANGED: {CODE_MESSAGE_ADDRESS_CHANGED: EMAIL_CHANGED},
    PHONE_VERIFICATION: {CODE_MESSAGE_CODE: PHONE_VERIFICATION},
    INVITATION: {CODE_MESSAGE_CODE: INVITATION},
}
"""The template by type of notification and by what the user service says about the request."""


class NothingToSend(Exception):
    """The delivery has lost its purpose, for a `Reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class CodeContent(NamedTuple):
    """A template about a code with its variables, and the recipient."""

    template: str
    data: Mapping[str, str]
    recipient: IssuedCode


async def issue(delivery: Delivery, recipients: Recipients) -> CodeContent:
    """What is sent about a code, which is made now. Raises `NothingToSend`, `UserServiceUnavailable` and `CodeNotIssued`.

    Nobody has proven the address, so it contains no text of whoever entered it, not even a name. That of a partner is from an operator.
    """
    # The first key is that of an older release, whose jobs may still wait.
    request_id = str(delivery.data.get("sign_up_id", "") or delivery.data.get("code_request_id", ""))
    if not request_id:  # queued by a release that knew no pending sign-ups
        raise NothingToSend(Reason.REQUEST_ENDED)
    try:
        issued = await recipients.issue_code(request_id)
    except RequestEnded:
        raise NothingToSend(Reason.REQUEST_ENDED) from None
    template = ABOUT_CODES[delivery.type].get(issued.message)
    if template is None:  # what was requested has become something else meanwhile
        raise NothingToSend(Reason.REQUEST_ENDED)
    data = {"partner": issued.partner_name, "code": issued.code, "expires": f"{issued.expire_time:%Y-%m-%d %H:%M} UTC"}
    return CodeContent(template, data, issued)
