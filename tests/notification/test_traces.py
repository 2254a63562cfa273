"""Everything that follows from an event belongs to the event's own trace, though a batch carried it."""

from collections.abc import Awaitable, Callable

import pytest

from chassis import ids
from chassis.app import App
from chassis.telemetry.spans import RecordedSpan, SpanTracer
from chassis.telemetry.tracing import Tracer
from services.notification.__main__ import build
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start

Traced = Callable[[App], Awaitable[None]]
OBSERVER = "observe notify_order_confirmed"


class Spans:
    """Records ended spans, in place of the exporter."""

    def __init__(self) -> None:
        self.ended: list[RecordedSpan] = []

    def add(self, span: RecordedSpan) -> None:
        self.ended.append(span)

    def of(self, trace: int) -> list[RecordedSpan]:
        """Those of a trace."""
        return [span for span in self.ended if span.get_span_context().trace_id == trace]

    def parents(self, trace: int) -> list[tuple[str, str]]:
        """The spans of a trace by name, each with its parent's; what comes from outside has the parent `event`."""
        names = {span.get_span_context().span_id: span.name for span in self.of(trace)}
        return sorted((span.name, names.get(span.parent_id, "event")) for span in self.of(trace))


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def traced(spans: Spans) -> Traced:
    """The service's build, with spans that are recorded."""

    async def wired(app: App) -> None:
        app.tracer = Tracer(SpanTracer(spans), 1.0)
        await build(app)

    return wired


def context(trace: int, span: int, flags: str = "01") -> str:
    return f"00-{trace:032x}-{span:016x}-{flags}"


async def publish_one(service: Service, traceparent: str, **user: str) -> None:
    ann = service.users.add(ids.new("usr"), **user)
    await service.publish(events.confirmed(ann, traceparent=traceparent))
    await service.wait_until_idle()
    assert len(service.receiver.mails) == 1


async def test_each_event_of_a_batch_goes_on_in_its_own_trace(start: Start, traced: Traced, spans: Spans) -> None:
    traces = range(1, 8)
    async with start(traced) as service:
        people = [service.users.add(ids.new("usr")) for _ in traces]
        batch = [
            events.confirmed(user, traceparent=context(n, n + 100)) for n, user in zip(traces, people, strict=True)
        ]
        await service.publish(*batch)
        await service.wait_until_idle()
        assert len(service.receiver.mails) == len(traces)
    for n in traces:
        shape = [pair for pair in spans.parents(n) if pair[0] in ("process event", OBSERVER, "send mail")]
        assert shape == [(OBSERVER, "process event"), ("process event", "event"), ("send mail", OBSERVER)]
        (first,) = [span for span in spans.of(n) if span.name == "process event"]
        assert first.parent_id == n + 100
        assert first.attributes["weft.event.type"] == "order.confirmed"


async def test_a_mail_that_goes_alone_has_its_look_up_in_its_trace(start: Start, traced: Traced, spans: Spans) -> None:
    async with start(traced) as service:
        await publish_one(service, context(7, 8))
        assert f"{7:032x}" in service.users.traceparents[0]
    assert ("look up recipients", OBSERVER) in spans.parents(7)


async def test_an_event_whose_trace_is_not_sampled_leaves_no_spans(start: Start, traced: Traced, spans: Spans) -> None:
    async with start(traced) as service:
        await publish_one(service, context(7, 8, flags="00"))
    assert spans.of(7) == []


async def test_spans_name_no_person(start: Start, traced: Traced, spans: Spans) -> None:
    async with start(traced) as service:
        await publish_one(service, context(7, 8), email="canary@example.com", display_name="Canary Name")
    recorded = str([(span.name, span.attributes, span.message) for span in spans.ended])
    assert "weft.delivery.state" in recorded
    assert "canary" not in recorded.lower()
