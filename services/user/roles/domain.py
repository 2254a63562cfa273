"""Who may have which role, and that the last admin stays."""

from chassis.errors import FailedPrecondition
from services.user.users.domain import User


class RolesNotAssignable(FailedPrecondition):
    """The user {user_id} belongs to a partner and can only have the role of a customer."""


class LastAdmin(FailedPrecondition):
    """The user {user_id} is the last admin who may sign in; make someone else an admin first."""


def check_assignable(user: User) -> None:
    """Raise `RolesNotAssignable` for a user of a partner."""
    if user.partner_id:
        raise RolesNotAssignable(user_id=user.user_id)
