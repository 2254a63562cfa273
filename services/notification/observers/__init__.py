"""Observers turn events into notices. To add one, write a function with the decorator in a module of this package:

    @observes("order.confirmed", OrderConfirmed)
    def tell_of_confirmation(event: Event, fact: OrderConfirmed) -> Notice | None:

It is pure: what it returns is written and delivered by others, and one that fails is retried alone. Its name is its
identity in the queue, so a function that is renamed leaves its waiting jobs behind.
"""

from services.notification.observers import orders, users
from services.notification.observers.registry import (
    OBSERVERS,
    Channel,
    Notice,
    Observers,
    PayloadMismatch,
    UnknownObserver,
)

__all__ = [
    "OBSERVERS",
    "Channel",
    "Notice",
    "Observers",
    "PayloadMismatch",
    "UnknownObserver",
    "orders",
    "users",
]
