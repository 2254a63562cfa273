"""The metadata of every table of the order service."""

from sqlalchemy import MetaData

metadata = MetaData()
