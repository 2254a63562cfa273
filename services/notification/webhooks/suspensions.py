"""Partners that are suspended: what is owed to them waits until they are reinstated."""

from collections.abc import Sequence

from weft.api.v1.event_pb2 import Event

SUSPENDED, REINSTATED = "partner.suspended", "partner.reinstated"


def changes(events: Sequence[Event]) -> dict[str, tuple[bool, int]]:
    """Whether each partner that events are about is suspended, and by which of its events: by its last one."""
    found: dict[str, tuple[bool, int]] = {}
    for event in events:
        if event.type in (SUSPENDED, REINSTATED) and event.sequence > found.get(event.partner_id, (False, 0))[1]:
            found[event.partner_id] = (event.type == SUSPENDED, event.sequence)
    return found
