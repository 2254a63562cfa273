"""The audit trail: who changed what, for whom, from where. Append-only in the database itself."""
