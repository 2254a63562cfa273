"""The one metadata that every table of the user service belongs to."""

from sqlalchemy import MetaData

metadata = MetaData()
