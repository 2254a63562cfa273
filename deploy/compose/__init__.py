"""The mesh of `deploy/compose.yaml` on a Docker engine: its secrets, and its start and end."""
