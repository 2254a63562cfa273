"""Who observes what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from google.protobuf.message import Message
from weft.api.v1.event_pb2 import Event

Fact = TypeVar("Fact", bound=Message)


class Channel(Enum):
    """A way to a user."""

    EMAIL = "EMAIL"
    INBOX = "INBOX"


@dataclass(frozen=True)
class Notice:
    """What to tell whom. `type` names the template, `facts` is what it prints: JSON, without personal data."""

    type: str
    user_id: str
    subject_id: str
    channels: frozenset[Channel]
    facts: Mapping[str, Any] = field(default_factory=dict)


class UnknownObserver(Exception):
    """A queued event waits for an observer that this release does not have."""


class PayloadMismatch(Exception):
    """An event's payload is not of the type that its observers expect."""


@dataclass(frozen=True)
class _Observer:
    name: str
    event_type: str
    run: Callable[[Event], Notice | None]


class Observers:
    """A set of observers, by event type and by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Observer] = {}

    def observes(
        self, event_type: str, fact: type[Fact]
    ) -> Callable[[Callable[[Event, Fact], Notice | None]], Callable[[Event, Fact], Notice | None]]:
        """Register a function for an event type, whose payload is a `fact`. Its name is its identity in the queue."""

        def register(function: Callable[[Event, Fact], Notice | None]) -> Callable[[Event, Fact], Notice | None]:
            name = function.__name__
            if name in self._by_name:
                raise ValueError(f"Two observers are called {name}: rename one.")
            self._by_name[name] = _Observer(name, event_type, lambda event: function(event, _unpack(event, fact)))
            return function

        return register

    def names_for(self, event_type: str) -> tuple[str, ...]:
        """Who observes events of a type."""
        return tuple(o.name for o in self._by_name.values() if o.event_type == event_type)

    def run(self, name: str, event: Event) -> Notice | None:
        """What an observer says. Raises `UnknownObserver`, `PayloadMismatch` and what the observer raises."""
        if name not in self._by_name:
            raise UnknownObserver(name)
        return self._by_name[name].run(event)

    def copy(self) -> "Observers":
        """The same observers, to add others to."""
        copied = Observers()
        copied._by_name.update(self._by_name)
        return copied


def _unpack(event: Event, fact: type[Fact]) -> Fact:
    unpacked = fact()
    if not event.payload.Unpack(unpacked):
        raise PayloadMismatch(f"{event.type} came with {event.payload.TypeName() or 'nothing'}")
    return unpacked


OBSERVERS = Observers()
"""Those of this service; the package imports their modules, which registers them."""
observes = OBSERVERS.observes
