"""`make up`, `make down`, `make journey`: `python -m deploy.compose up | down [--delete] | journey`."""

import argparse
import os
import shutil
import subprocess
import sys

import contract
from deploy.compose.state import State
from deploy.local import options
from deploy.local.components import services
from deploy.local.demo.demo import drive
from deploy.local.demo.scenario import Scenario, ScenarioError
from deploy.local.failures import describe
from deploy.local.options import ROOT

FILE = ROOT / "deploy" / "compose.yaml"
_IMAGES = ("services", "edge", "sinks")
_NEXT = """
ready {edge}
  {edge}/docs/      the API's pages
  {texts}           text messages; mails are files in {mail}
  {webhooks}           webhooks, to http://webhooks:8027/hooks/…
  make journey      one order from signing up to the mail, each step printed
  make down         stops everything and keeps the data
"""
_DASHBOARDS = "  {grafana}         dashboards: the first one is the overview\n"


def main(arguments: list[str]) -> int:
    """Run a command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.compose", description="The mesh on a Docker engine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="make what is missing, start everything, wait until it serves")
    up.add_argument("--core", action="store_true", help="without Prometheus, Grafana, Loki, Tempo and the collector")
    down = verbs.add_parser("down", help="stop everything; data stays")
    down.add_argument("--delete", action="store_true", help="delete the data and the secrets, too")
    verbs.add_parser("journey", help="drive an order through the running mesh")
    given = parser.parse_args(arguments)
    state = State(options.home() / "compose", services.names(contract.load()))
    try:
        if given.verb == "up":
            return _up(state, given.core)
        return _down(state, given.delete) if given.verb == "down" else _journey(state)
    except OSError as error:
        print(describe(error, state.folder), file=sys.stderr)
        return 1


def environment(state: State, core: bool) -> dict[str, str]:
    """What `deploy/compose.yaml` takes from the environment."""
    collector = "" if core else "http://collector:4317"
    return {
        "WEFT_OTLP_ENDPOINT": collector,
        **os.environ,
        "WEFT_STATE": str(state.folder),
        "WEFT_USER": ":".join(map(str, state.user)),
    }


def _up(state: State, core: bool) -> int:
    if shutil.which("docker") is None:
        print("There is no `docker` here: install Docker with Compose, or use `make run`.", file=sys.stderr)
        return 1
    for name in _IMAGES:
        if _docker("image", "inspect", f"weft/{name}:{os.environ.get('WEFT_TAG', 'latest')}", quiet=True):
            print(f"There is no image weft/{name}: run `make image` first.", file=sys.stderr)
            return 1
    print(f"secrets and certificates are in {state.folder} …", flush=True)
    state.prepare()
    print("starting the containers, each when what it needs is healthy; a minute or two the first time …", flush=True)
    profile = [] if core else ["--profile", "observability"]
    if failed := _compose(state, core, *profile, "up", "--detach", "--wait", "--wait-timeout", "300"):
        print(
            "Not everything became healthy: `docker compose -p weft ps -a` and `docker compose -p weft logs NAME` say what."
        )
        return failed
    print(
        _NEXT.format(
            edge=_edge(),
            texts=_local("WEFT_TEXTS_PORT", 8025),
            mail=state.mail,
            webhooks=_local("WEFT_WEBHOOKS_PORT", 8027),
        ),
        end="",
    )
    if not core:
        print(_DASHBOARDS.format(grafana=_local("WEFT_GRAFANA_PORT", 3000)), end="")
    return 0


def _down(state: State, delete: bool) -> int:
    print("stopping: the edge drains, services finish their calls …", flush=True)
    extra = ["--volumes"] if delete else []
    failed = _compose(state, False, "--profile", "observability", "down", "--timeout", "30", *extra)
    if not failed and delete:
        shutil.rmtree(state.folder, ignore_errors=True)
    if not failed:
        print("stopped; " + ("data and secrets are deleted" if delete else "the data stays: `make up` goes on with it"))
    return failed


def _journey(state: State) -> int:
    secrets = state.credentials()
    scenario = Scenario(
        {
            "edge": _edge(),
            "mail": str(state.mail),
            "partner": {"client_id": secrets.partner_client_id, "client_secret": secrets.partner_client_secret},
        },
        lambda line: print(line, flush=True),
    )
    try:
        placed = drive(scenario)
    except ScenarioError as fault:
        print(f"The journey failed: {fault}", file=sys.stderr)
        return 1
    finally:
        scenario.close()
    print("\nthe order went well" + (f"; its trace is {placed.trace_id}" if placed.trace_id else ""))
    return 0


def _edge() -> str:
    return _local("WEFT_EDGE_PORT", options.HTTP_PORT)


def _local(name: str, port: int) -> str:
    return f"http://localhost:{os.environ.get(name) or port}"


def _compose(state: State, core: bool, *words: str) -> int:
    return subprocess.call(["docker", "compose", "--file", FILE, *words], env=environment(state, core), cwd=ROOT)


def _docker(*words: str, quiet: bool) -> int:
    output = subprocess.DEVNULL if quiet else None
    return subprocess.call(["docker", *words], stdout=output, stderr=output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
