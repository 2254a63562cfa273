"""Messages about one-time codes: who receives them, and which code, is asked for when they are sent."""

from collections.abc import Mapping

from weft.user.v1.one_time_code_pb2 import (
    CODE_MESSAGE_ACCOUNT_CLOSED,
    CODE_MESSAGE_ADDRESS_CHANGED,
    CODE_MESSAGE_ADDRESS_TAKEN,
    CODE_MESSAGE_CODE,
    CODE_MESSAGE_NO_ACCOUNT,
    CodeMessage,
)

from services.notification.observers.users import EMAIL_CHANGE, EMAIL_CHANGED, PASSWORD_RESET, VERIFICATION

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
}
"""The template by type of notification and by what the user service says about the request."""
