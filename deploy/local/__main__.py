"""`python -m deploy.local run | demo | status | stop | logs | trace ID | restart PART | service NAME … | rotate`: the mesh on this machine."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - before anything that an older Python cannot read
    sys.exit(f"Weft needs Python 3.11 or newer and this is {sys.version.split()[0]}: run `make PYTHON=python3.11 run`.")

from deploy.local import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
