"""Whose notifications a caller may read: their own."""

from sqlalchemy import bindparam

from services.notification.notifications.tables import notifications

OF_USER = notifications.c.user_id == bindparam("user_id")
