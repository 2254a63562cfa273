"""Observers turn events into notifications. To add one, write a function with the decorator in a module of this package:

    @observes("order.confirmed", OrderConfirmed)
    def notify_order_confirmed(event: Event, payload: OrderConfirmed) -> Notification | None:

It is pure: others store and deliver what it returns, and one that fails is retried alone. Its name identifies it in the
queue, so jobs that wait for a function that is renamed are not found again.
"""

from services.notification.observers import accounts, orders, security, users
from services.notification.observers.registry import OBSERVERS, Observers, PayloadMismatch, UnknownObserver

__all__ = [
    "OBSERVERS",
    "Observers",
    "PayloadMismatch",
    "UnknownObserver",
    "accounts",
    "orders",
    "security",
    "users",
]
