"""The tables of the probe: those of the chassis that a call uses."""

from sqlalchemy import MetaData

from chassis.rpc import idempotency

metadata = MetaData()
replies = idempotency.table(metadata)
