"""Why nothing is sent to an address, and what still is."""

from enum import Enum

from chassis.errors import NotFound
from services.notification.categories import Category


class SuppressionNotFound(NotFound):
    """There is no suppression {suppression_id}."""


class SuppressionReason(Enum):
    """See `weft.notification.v1.SuppressionReason`."""

    HARD_BOUNCE = "HARD_BOUNCE"
    COMPLAINT = "COMPLAINT"
    OPTED_OUT = "OPTED_OUT"
    UNSUBSCRIBED = "UNSUBSCRIBED"

    def stops(self, category: Category) -> bool:
        """Whether nothing of the category is sent: where it cannot arrive nothing is, and else all that can be muted."""
        return self in (SuppressionReason.HARD_BOUNCE, SuppressionReason.OPTED_OUT) or not category.is_critical
