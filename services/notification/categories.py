"""What notifications are about, and which of them people can mute."""

from enum import Enum


class Category(Enum):
    """See `weft.notification.v1.Category`."""

    ACCOUNT = "ACCOUNT"
    RECEIPTS = "RECEIPTS"
    ORDERS = "ORDERS"
    UPDATES = "UPDATES"
    MARKETING = "MARKETING"

    @property
    def is_critical(self) -> bool:
        """Whether it goes out whatever a person has chosen, and at any time."""
        return self in (Category.ACCOUNT, Category.RECEIPTS)


_RECEIPTS = frozenset({"order.confirmed", "payment.action_required", "payment.failed", "payment.refunded"})


def read(stored: str, type: str) -> Category:
    """As it is stored; notifications of an older release have that of their type."""
    return Category(stored) if stored else of_type(type)


def of_type(type: str) -> Category:
    """The category of a notification that follows from an event."""
    if type in _RECEIPTS:
        return Category.RECEIPTS
    return Category.ORDERS if type.startswith("order.") else Category.ACCOUNT
