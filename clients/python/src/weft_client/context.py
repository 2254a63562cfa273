"""What a call takes over from the work that makes it. A server sets these for each call that it serves."""

from contextvars import ContextVar

deadline: ContextVar[float | None] = ContextVar("weft_deadline", default=None)
"""When the work at hand must be done, on `time.monotonic()`'s scale in seconds; calls never outlast it."""

authorization: ContextVar[str | None] = ContextVar("weft_authorization", default=None)
"""The `authorization` header on whose behalf the work is done; sent by clients that have no `auth` of their own."""

request_id: ContextVar[str | None] = ContextVar("weft_request_id", default=None)
"""The id that ties log lines of one request together; a call outside any request makes its own."""
