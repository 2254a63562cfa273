"""Who can be notified."""

from chassis.errors import NotFound


class RecipientNotFound(NotFound):
    """There is no user {user_id}."""
