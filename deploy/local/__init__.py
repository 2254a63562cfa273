"""The whole mesh on one machine: `python -m deploy.local run`. See `docs/running.md`."""
