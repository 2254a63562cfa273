"""Peer (c): Granian's RSGI on uvloop, msgspec, asyncpg, a statement for each request, OpenTelemetry's SDK by hand."""
