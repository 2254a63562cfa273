"""`python -m deploy.checks.metrics`: prints every metric that the services declare, as a process that has done nothing exposes them."""

import sys
from importlib import import_module

from prometheus_client import generate_latest

import contract


def main() -> None:
    """Importing a service declares its metrics."""
    for package in contract.load().packages:
        import_module(f"services.{package.split('.')[1]}.__main__")
    sys.stdout.buffer.write(generate_latest())


if __name__ == "__main__":
    main()
