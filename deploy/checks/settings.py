"""`python -m deploy.checks.settings`: the settings of every container, held against what its program takes and needs.

A setting that the program does not know is a fault, and so is whatever the program itself refuses to start with: its settings
are read, and a service that serves is built, as far as it gets without a network.
"""

import asyncio
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

import contract
from chassis import settings
from chassis.app import App
from codegen.edge_settings import EdgeSettings
from codegen.settings_reference import names
from deploy.checks import manifests
from deploy.compose.state import State
from deploy.container import edge
from deploy.local.components import services
from deploy.local.options import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
EDGE_NAMES = frozenset(f"WEFT_{name.upper()}" for name in EdgeSettings.model_fields)
SERVICE_NAMES = frozenset(names()) | {settings.SECRETS_FOLDER}


SAMPLES = {
    "weft_database_url": "postgresql://role:password@host:5432?sslmode=verify-full",
    "weft_redis_url": "rediss://:password@host:6379",
    "weft_data_keys": '{"k1": "' + "A" * 43 + '="}',
    "weft_smtp_url": "smtps://user:password@host",
    "weft_smtp_fallback_url": "",
    "weft_sms_url": "https://account:token@host",
    "weft_sms_fallback_url": "",
    "weft_sendgrid_event_keys": "[]",
    "weft_dkim_key": "",
    "weft_vapid_key": "",
    "weft_stripe_key": "sk_live_key",
}
"""What a secret may hold, where the manifests only refer to it; what is optional is empty."""
PLACEHOLDERS = {r"\.example\b": ".test", r"\+1202555(01\d\d)\b": r"+1202777\1"}
"""What an overlay has where an operator writes their own, which no environment but development starts with: and a stand-in."""


@dataclass(frozen=True)
class Container:
    """What a container is given: its variables, and a folder of files."""

    place: str
    is_edge: bool
    variables: Mapping[str, str]
    secrets: Path
    command: tuple[str, ...] = ()
    """A service's module and what it does."""
    shared: frozenset[str] = frozenset()
    """Variables that every part is given, so that each need be known to one."""


def faults(containers: Iterator[Container]) -> list[str]:
    """What is wrong, one sentence each."""
    return [fault for container in containers for fault in _of(container)]


def of_compose(file: Path, state: State) -> Iterator[Container]:
    """The containers of ours in a Compose file, with secrets from the state."""
    read = yaml.safe_load(file.read_text())
    for name, service in read["services"].items():
        image = service["image"]
        if image.startswith(("weft/services", "weft/edge")):
            folder = next(volume for volume in service["volumes"] if "/secrets/" in volume).split("/secrets/")[1]
            yield Container(
                f"{file.name}: {name}",
                image.startswith("weft/edge"),
                {key: _default(str(value)) for key, value in service["environment"].items()},
                state.folder / "secrets" / folder.partition(":")[0],
                tuple(service.get("command", ())),
            )


def of_overlay(folder: Path, secrets: Path) -> Iterator[Container]:
    """The containers of ours in an overlay; a file for each key of their secrets is made in `secrets / <workload>`."""
    objects = manifests.of_overlay(folder)
    maps = {found["metadata"]["name"]: found["data"] for found in objects if found["kind"] == "ConfigMap"}
    contents = manifests.secrets(objects)
    for found in objects:
        if found["kind"] not in ("Deployment", "Job"):
            continue
        pod = found["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        if container["image"] not in ("weft/services", "weft/edge"):
            continue
        shared: dict[str, str] = {}
        for source in container["envFrom"]:
            shared |= maps[source["configMapRef"]["name"]]
        shared = {name: _stand_in(value) for name, value in shared.items()}
        variables = {**shared, **{entry["name"]: entry["value"] for entry in container["env"]}}
        held = secrets / found["metadata"]["name"]
        held.mkdir(parents=True, exist_ok=True)
        for source in manifests.mounted(found, "secrets"):
            for key, value in contents.get(source["name"], {}).items():
                (held / key).write_text(value or SAMPLES.get(key, "x"))
        place = f"{folder.name}: {found['metadata']['name']}"
        command = tuple(container.get("args", ()))
        yield Container(place, container["image"] == "weft/edge", variables, held, command, frozenset(shared))


def _of(container: Container) -> Iterator[str]:
    known = EDGE_NAMES if container.is_edge else SERVICE_NAMES
    for name in container.variables:
        if name not in (EDGE_NAMES | SERVICE_NAMES if name in container.shared else known):
            yield f"{container.place}: {name} is no setting: write one of docs/settings.md, or drop it."
    if not container.is_edge:
        for file in sorted(container.secrets.glob("weft_*")):
            if file.name.upper() not in known:
                yield f"{container.place}: the secret {file.name} is no setting: write one of docs/settings.md, or drop it."
    with mock.patch.dict(os.environ, dict(container.variables), clear=True):
        try:
            if container.is_edge:
                edge.read()
            else:
                overrides: dict[str, Any] = {"_secrets_dir": container.secrets}
                os.environ.pop(settings.SECRETS_FOLDER)
                migrates = container.command[1:] == ("migrate",)  # it alters tables, and needs no keys
                read = settings.read(migrates=migrates, **overrides)
                if container.command[1:] == ("serve",):
                    asyncio.run(_build(container.command[0], read))
        except (settings.SettingsError, edge.SettingsError) as error:
            yield f"{container.place}: {error}"
        except Exception as error:  # of a service that is being written
            yield f"{container.place}: it cannot be built ({type(error).__name__}: {error}); mend that first."


async def _build(module: str, read: settings.Settings) -> None:
    """What a service itself refuses. Certificates are made in the cluster, so it is built without."""
    service = importlib.import_module(f"{module}.__main__")
    app = App(
        module.rpartition(".")[2],
        read.model_copy(update={"tls": "off"}),
        metadata=service.tables.metadata,
        migrations=Path(str(service.__file__)).parent / "migrations",
    )
    try:
        await service.build(app)
    finally:
        await app.close()


def _stand_in(value: str) -> str:
    for pattern, written in PLACEHOLDERS.items():
        value = re.sub(pattern, written, value)
    return value


def _default(value: str) -> str:
    """`${NAME:-default}` as it is where the variable is not set."""
    while "${" in value:
        before, _, rest = value.partition("${")
        inner, _, after = rest.partition("}")
        value = before + inner.partition(":-")[2] + after
    return value


def main() -> int:
    """Exit 1 with one line for each fault."""
    with tempfile.TemporaryDirectory() as folder:
        state = State(Path(folder), services.names(contract.load()))
        state.prepare()
        found = [f"deploy/{fault}" for fault in faults(of_compose(COMPOSE, state))]
        for overlay in manifests.overlays():
            place = overlay.parent.relative_to(ROOT)
            found += [f"{place}/{fault}" for fault in faults(of_overlay(overlay, Path(folder) / overlay.name))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
