"""Migrates a service's database and gives it its first data, in one process: to start Python is most of either.

The owner of the database migrates; what comes after connects as the role that serves.
"""

import json
import os
import runpy
import sys

OWNER = "WEFT_OWNER"
"""The variables with which a service migrates, as JSON."""


def main(service: str) -> None:
    """Run the service's `migrate`, then its `bootstrap`. The first that fails ends the process, with its sentence."""
    owner = json.loads(os.environ.pop(OWNER))
    serving = {name: os.environ.get(name) for name in owner}
    for command, settings in (("migrate", owner), ("bootstrap", serving)):
        for name, value in settings.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        sys.argv = [service, command]
        runpy.run_module(f"services.{service}", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
