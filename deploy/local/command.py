"""The command line. Imports come late: the init process stays small, and a missing package is one sentence."""

import argparse
import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.failures import MeshError, describe

if TYPE_CHECKING:
    from deploy.local.running import Running
    from deploy.local.state.home import Home


def main(arguments: list[str]) -> int:
    """Run a command; its exit code. A failure is one sentence on standard error."""
    given = _parser().parse_args(arguments)
    try:
        return int(_VERBS[given.verb](given) or 0)
    except MeshError as fault:
        print(fault, file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone, as after `| head`
        return 1
    except OSError as error:
        print(describe(error, _folder()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="The mesh on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run", help="start everything and keep it running until Ctrl-C")
    demo = verbs.add_parser("demo", help="drive an order through the running mesh")
    demo.add_argument("--loop", action="store_true", help="again and again, until Ctrl-C")
    verbs.add_parser("status", help="each part: its process, how long it runs, whether it serves, its ports")
    verbs.add_parser("stop", help="stop the running mesh, and wait for its end")
    logs = verbs.add_parser("logs", help="what the parts have written")
    logs.add_argument(
        "part", nargs="?", default="", help="order, order-1, access-1, postgres, mesh, …; all where left out"
    )
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what comes, until Ctrl-C")
    logs.add_argument("-n", "--lines", type=int, default=20, help="lines of each file (20)")
    trace = verbs.add_parser("trace", help="everything about a request id, a trace id or a resource's id")
    trace.add_argument("id")
    restart = verbs.add_parser("restart", help="replace the processes of a part, one at a time")
    restart.add_argument("part", help="user, order, notification, envoy, postgres, valkey, mail, sinks or traces")
    service = verbs.add_parser("service", help="a command of a service, with its environment and its database's owner")
    service.add_argument("service", help="user, order, notification, …")
    service.add_argument("words", nargs=argparse.REMAINDER, help="such as: keys rotate")
    seed = verbs.add_parser("seed", help="fill the running mesh with made-up users and their orders, for trials")
    seed.add_argument("--users", type=int, default=10_000, help="how many (10,000)")
    seed.add_argument("--orders", type=int, default=10_000, help="how many (10,000)")
    fault = verbs.add_parser("fault", help="failure switches: list them, turn them on and off (docs/faults.md)")
    fault.add_argument("turn", nargs="?", choices=("list", "on", "off"), default="list")
    fault.add_argument("name", nargs="?", default="", help="such as slow-database; `off all`")
    fault.add_argument("parts", nargs="*", help="services, or envoy; all that have the switch where left out")
    rotate = verbs.add_parser("rotate", help="renew every certificate while the mesh runs")
    rotate.add_argument("--authority", action="store_true", help="the authority too, in two steps: see docs/running.md")
    rotate.add_argument("--now", action="store_true", help="with --authority: take the second step now")
    rotate.add_argument("--data-keys", metavar="SERVICE", default="", help="instead, the data key of a service")
    return parser


def _run(_: argparse.Namespace) -> int:
    from deploy.local import options
    from deploy.local.state.home import Home
    from deploy.local.state.ports import claim
    from deploy.local.supervisor import init

    wanted = options.read()
    home = Home(wanted.home)
    home.create()
    home.check_unlocked()
    claim(wanted.edge_port)
    return init.run(lambda: _supervise(wanted.home))


def _supervise(folder: Path) -> int:
    """The supervisor's process, from its first line to its exit code."""
    import asyncio

    from deploy.local import options
    from deploy.local.state.home import Home
    from deploy.local.supervisor.journal import Journal, Terminal

    home = Home(folder)
    terminal = Terminal()
    fault = ""
    try:
        home.lock()
        try:
            from deploy.local.mesh import Mesh
        except ModuleNotFoundError as error:
            raise MeshError(f"The module {error.name} is missing: run `make setup` and then `make gen`.") from None

        async def run() -> None:
            await Mesh(options.read(), home, Journal(home.logs, terminal)).run()

        asyncio.run(run())
    except MeshError as error:
        fault = str(error)
    except OSError as error:
        fault = describe(error, folder)
    terminal.close()
    if fault:
        print(fault, file=sys.stderr)
    return 1 if fault else 0


def _demo(given: argparse.Namespace) -> int:
    from deploy.local.demo.demo import main as drive

    return drive(_running(), given.loop)


def _status(_: argparse.Namespace) -> int:
    from deploy.local.status import show

    return show(_running())


def _stop(_: argparse.Namespace) -> None:
    from deploy.local.running import stop

    stop(_home())


def _logs(given: argparse.Namespace) -> None:
    from deploy.local.logs import show

    show(_home(), given.part, given.lines, given.follow)


def _trace(given: argparse.Namespace) -> None:
    from deploy.local.lookup import show

    show(_home(), given.id)


def _restart(given: argparse.Namespace) -> None:
    from deploy.local.control import send

    send(_running(), verb="restart", group=given.part)


def _service(given: argparse.Namespace) -> None:
    from deploy.local.control import send

    send(_running(), verb="service", service=given.service, words=json.dumps(given.words))


def _seed(given: argparse.Namespace) -> None:
    from deploy.local.control import send

    run = ["--run", secrets.token_hex(4), "--at", datetime.now(UTC).isoformat()]
    customers = ["--customers", str(given.users)]
    mesh = _running()
    for service, words in (("user", [str(given.users)]), ("order", [str(given.orders), *customers])):
        if words[0] != "0":
            send(mesh, verb="service", service=service, words=json.dumps(["seed", *words, *run]))


def _fault(given: argparse.Namespace) -> None:
    from deploy.local import faults

    if given.turn == "list":
        faults.show(_running())
    else:
        faults.turn(_running(), given.turn == "on", given.name, given.parts)


def _rotate(given: argparse.Namespace) -> None:
    from deploy.local.control import send

    if given.now and not given.authority:
        raise MeshError("--now is for a new authority: say `rotate --authority --now`, or `rotate` alone.")
    if given.data_keys:
        if given.authority:
            raise MeshError("Say --data-keys or --authority: one after the other.")
        send(_running(), verb="rotate", what="data keys", service=given.data_keys)
        return
    send(_running(), verb="rotate", what="authority" if given.authority else "certificates", now=str(given.now))


def _folder() -> Path:
    from deploy.local import options

    return options.home()


def _home() -> "Home":
    from deploy.local.state.home import Home

    return Home(_folder())


def _running() -> "Running":
    from deploy.local.running import Running

    return Running(_home())


_VERBS = {
    "run": _run,
    "demo": _demo,
    "status": _status,
    "stop": _stop,
    "logs": _logs,
    "trace": _trace,
    "restart": _restart,
    "service": _service,
    "seed": _seed,
    "fault": _fault,
    "rotate": _rotate,
}
