"""What came of a request to a webhook endpoint."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What came of a request. `status` is 0 where there was no answer, `failure` a name of `WebhookFailure` or empty.

    `retry_after` is in seconds; None where the answer names none. `unavailable` says that the receiver, rather than this one
    message, is at fault.
    """

    status: int
    failure: str
    latency_ms: int
    body: str = ""
    retry_after: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the message was accepted."""
        return not self.failure

    @property
    def unavailable(self) -> bool:
        """Whether the receiver as a whole is at fault: no answer, 429, or 5xx."""
        return bool(self.failure) and (self.status == 0 or self.status == 429 or self.status >= 500)
