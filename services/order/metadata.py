"""The one metadata that every table of the order service belongs to."""

from sqlalchemy import MetaData

metadata = MetaData()
