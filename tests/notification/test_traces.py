"""Everything that follows from an event belongs to the event's own trace, though a batch carried it."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.chassis import ids
from services.chassis.telemetry import Tracer
from services.notification.__main__ import build
from tests.notification import events
from tests.notification.conftest import Start


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def traced(exporter):
    """The service's build, with spans that are kept."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def wired(weft):
        weft.tracer = Tracer(provider.get_tracer("test"), 1.0)
        await build(weft)

    return wired


def parents(exporter, trace_id):
    """Each span of a trace with its parent's name; the event's own span is `origin`."""
    spans = [span for span in exporter.get_finished_spans() if span.context.trace_id == trace_id]
    names = {span.context.span_id: span.name for span in spans}
    return sorted((span.name, names.get(span.parent.span_id, "origin")) for span in spans)


async def test_each_event_of_a_batch_goes_on_in_its_own_trace(start: Start, traced, exporter) -> None:
    people = [ids.new("usr") for _ in range(3)]
    async with start(traced) as service:
        for user in people:
            service.users.add(user)
        batch = [
            events.confirmed(user, traceparent=f"00-{number:032x}-{number + 100:016x}-01")
            for number, user in enumerate(people, start=1)
        ]
        await service.publish(*batch)
        await service.settled()
        assert len(service.receiver.mails) == 3
    for number in (1, 2, 3):
        told = parents(exporter, number)
        assert [pair for pair in told if pair[0] != "look up recipients" and pair[1] != "look up recipients"] == [
            ("observe tell_of_confirmation", "process event"),
            ("process event", "origin"),
            ("send mail", "observe tell_of_confirmation"),
        ]
        (root,) = [
            span
            for span in exporter.get_finished_spans()
            if span.context.trace_id == number and span.name == "process event"
        ]
        assert root.parent.span_id == number + 100


async def test_a_mail_that_goes_alone_has_its_look_up_in_its_trace(start: Start, traced, exporter) -> None:
    ann = ids.new("usr")
    async with start(traced) as service:
        service.users.add(ann)
        await service.publish(events.confirmed(ann, traceparent=f"00-{7:032x}-{8:016x}-01"))
        await service.settled()
        assert f"{7:032x}" in service.users.traceparents[0]
    assert ("look up recipients", "observe tell_of_confirmation") in parents(exporter, 7)


async def test_an_event_whose_trace_is_not_sampled_leaves_no_spans(start: Start, traced, exporter) -> None:
    ann = ids.new("usr")
    async with start(traced) as service:
        service.users.add(ann)
        await service.publish(events.confirmed(ann, traceparent=f"00-{7:032x}-{8:016x}-00"))
        await service.settled()
        assert len(service.receiver.mails) == 1
    assert parents(exporter, 7) == []
