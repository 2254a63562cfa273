"""The order of events."""

from weft.api.v1.event_pb2 import Event


def by_time(event: Event) -> tuple[int, int, str, int]:
    """A sort key: by time, and events of one time and aggregate by their sequence."""
    return event.occur_time.seconds, event.occur_time.nanos, event.aggregate_id, event.sequence
