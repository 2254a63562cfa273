"""The command line. Imports come late: the guardian stays small, and a missing package is said in one sentence."""

import argparse
import errno
import json
import os
import sys
from pathlib import Path

from deploy.local.faults import MeshFault


def main(arguments: list[str]) -> int:
    """Run a command; its exit code. What cannot be done is said in one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="The mesh on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run", help="start everything and keep it running until Ctrl-C")
    demo = verbs.add_parser("demo", help="drive an order through the running mesh")
    demo.add_argument("--loop", action="store_true", help="again and again, until Ctrl-C")
    restart = verbs.add_parser("restart", help="replace the processes of a part, one at a time")
    restart.add_argument("part", help="user, order, notification, envoy, postgres, valkey, mail or traces")
    rotate = verbs.add_parser("rotate", help="renew every certificate while the mesh runs")
    rotate.add_argument("--authority", action="store_true", help="the authority too")
    given = parser.parse_args(arguments)
    try:
        if given.verb == "run":
            return _run()
        if given.verb == "demo":
            return _demo(given.loop)
        if given.verb == "restart":
            _order(verb="restart", group=given.part)
        else:
            _order(verb="rotate", what="authority" if given.authority else "certificates")
    except MeshFault as fault:
        print(fault, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run() -> int:
    from deploy.local import options
    from deploy.local.guardian import guard
    from deploy.local.home import Home
    from deploy.local.ports import claim

    wanted = options.read()
    home = Home(wanted.home)
    home.create()
    home.check_unlocked()
    claim(wanted.edge_port)
    return guard(lambda: _supervise(wanted.home))


def _supervise(folder: Path) -> int:
    """The supervisor's process, from its first line to its exit code."""
    import asyncio

    from deploy.local import options
    from deploy.local.home import Home
    from deploy.local.journal import Journal, Terminal

    home = Home(folder)
    terminal = Terminal()
    try:
        home.lock()
        try:
            from deploy.local.mesh import Mesh
        except ModuleNotFoundError as error:
            raise MeshFault(f"The module {error.name} is missing: run `make setup` and then `make gen`.") from None

        async def run() -> None:
            await Mesh(options.read(), home, Journal(home.logs, terminal)).run()

        asyncio.run(run())
    except MeshFault as fault:
        terminal.close()
        print(fault, file=sys.stderr)
        return 1
    except OSError as error:
        terminal.close()
        print(_sentence(error, folder), file=sys.stderr)
        return 1
    terminal.close()
    return 0


def _sentence(error: OSError, folder: Path) -> str:
    where = error.filename or folder
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {where} is full: make room, or choose another disk with WEFT_HOME."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where} may not be written by you: give yourself the right, or choose another folder with WEFT_HOME."
    return f"The mesh cannot go on ({error}): see {folder / 'logs'}."


def _demo(loop: bool) -> int:
    from deploy.local.demo import main as drive

    return drive(_mesh_file(), loop)


def _order(**order: str) -> None:
    from deploy.local import options
    from deploy.local.control import give
    from deploy.local.home import Home

    pid = json.loads(_mesh_file().read_text())["pids"]["mesh"]
    give(Home(options.read().home), int(pid), **order)


def _mesh_file() -> Path:
    from deploy.local import options

    file = options.read().home / "mesh.json"
    if not os.access(file, os.R_OK):
        raise MeshFault(f"No mesh runs in {file.parent}: start it with `make run`, or name its folder with WEFT_HOME.")
    return file
