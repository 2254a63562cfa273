"""When a webhook is attempted again, as its receiver asks; pure."""

from datetime import UTC, datetime

import pytest

from services.notification.channels.webhook.answer import Answer
from services.notification.channels.webhook.sender import parse_retry_after
from services.notification.webhooks.domain import Health, after


@pytest.mark.parametrize(
    ("said", "asked_s"),
    [
        ("120", 120.0), ("Wed, 01 Jul 2026 12:02:00 GMT", 120.0), ("Wed, 01 Jul 2026 11:00:00 GMT", 0.0),
        ("1000000", 1_000_000.0), ("-5", None), ("soon", None), ("9" * 400, None), ("", None),
    ],
)  # fmt: skip
def test_a_receiver_that_asks_for_more_time_has_it_for_a_day_at_most(said: str, asked_s: float | None) -> None:
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert parse_retry_after(said, now) == asked_s
    answer, health = Answer(503, "STATUS", 1, "", asked_s), Health(0, None)
    wait_s = after(answer, 1, 1.0).wait_s
    if asked_s:
        assert wait_s == min(asked_s, 86_400)
    else:
        assert 4.5 <= wait_s <= 5.5
    health.saw(answer, now, 1.0)
    assert health.paused_s == min(asked_s or 0.0, 300.0), "others of the endpoint wait, too"
