"""What a person may have of devices."""

from chassis.errors import FailedPrecondition, NotFound

MAX_DEVICES = 10
"""Of one person."""


class PushNotConfigured(FailedPrecondition):
    """Push messages are not enabled."""


class DeviceNotFound(NotFound):
    """There is no device {device_id}, or it is not yours."""
