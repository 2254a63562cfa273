"""Why a request is not done, in the words of every peer."""


class Refused(Exception):
    """The request cannot be done. `reason` is the name of the cause, `code` that of the canonical code."""

    def __init__(self, code: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


STATUS = {"NOT_FOUND": 404, "FAILED_PRECONDITION": 400, "INVALID_ARGUMENT": 400, "ALREADY_EXISTS": 409}
"""From canonical code to HTTP status."""
