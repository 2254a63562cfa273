"""Who may have which role, and that the last admin stays."""

from chassis.errors import FailedPrecondition


class RolesNotAssignable(FailedPrecondition):
    """The user {user_id} belongs to a partner and has no other role than that of a customer."""


class LastAdmin(FailedPrecondition):
    """The user {user_id} is the last admin who may sign in; make someone else an admin first."""
