"""The one metadata that every table of the notification service belongs to."""

from sqlalchemy import MetaData

metadata = MetaData()
