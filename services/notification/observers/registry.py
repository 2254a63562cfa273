"""Which observers there are, by event type and by name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from weft.api.v1.event_pb2 import Event

from services.notification.notifications.notification import Notification

Payload = TypeVar("Payload", bound=Message)


class UnknownObserver(Exception):
    """A queued event waits for an observer that this release does not have."""


class PayloadMismatch(Exception):
    """An event's payload is not of the type that its observers expect."""


@dataclass(frozen=True)
class Observer:
    """A function with what it observes."""

    name: str
    event_type: str
    payload: type[Message]
    run: Callable[[Event], Notification | None]


class Observers:
    def __init__(self) -> None:
        self._by_name: dict[str, Observer] = {}

    def observes(
        self, event_type: str, payload: type[Payload]
    ) -> Callable[[Callable[[Event, Payload], Notification | None]], Callable[[Event, Payload], Notification | None]]:
        """Register a function for an event type with this type of payload. Its name identifies it in the queue."""

        def register(
            function: Callable[[Event, Payload], Notification | None],
        ) -> Callable[[Event, Payload], Notification | None]:
            name = function.__name__
            if name in self._by_name:
                raise ValueError(f"Two observers are called {name}: rename one.")
            self._by_name[name] = Observer(
                name, event_type, payload, lambda event: function(event, _unpack(event, payload))
            )
            return function

        return register

    def names_for(self, event_type: str) -> tuple[str, ...]:
        """The names of the observers of an event type."""
        return tuple(o.name for o in self._by_name.values() if o.event_type == event_type)

    def run(self, name: str, event: Event) -> Notification | None:
        """Run an observer. Raises `UnknownObserver`, `PayloadMismatch` and what the observer raises."""
        if name not in self._by_name:
            raise UnknownObserver(name)
        return self._by_name[name].run(event)

    def __iter__(self) -> Iterator[Observer]:
        return iter(self._by_name.values())

    def copy(self) -> "Observers":
        """The same observers, to add others to."""
        copied = Observers()
        copied._by_name.update(self._by_name)
        return copied


def _unpack(event: Event, payload: type[Payload]) -> Payload:
    unpacked = payload()
    if not event.payload.Unpack(unpacked):
        raise PayloadMismatch(f"{event.type} came with {event.payload.TypeName() or 'nothing'}")
    return unpacked


OBSERVERS = Observers()
"""Those of this service; the package imports their modules, which registers them."""
observes = OBSERVERS.observes
