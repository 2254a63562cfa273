"""`python -m deploy.checks.settings`: the settings of every container, held against what its program takes and needs.

A setting that the program does not know is a fault, and so is whatever the program itself refuses to start with.
"""

import os
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
from codegen.settings_reference import names
from deploy.compose.state import State
from deploy.container import edge
from deploy.local.components import services
from deploy.local.options import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
EDGE_NAMES = frozenset(f"WEFT_{name.upper()}" for name in edge.EdgeSettings.model_fields)
SERVICE_NAMES = frozenset(names()) | {settings.SECRETS_FOLDER}


@dataclass(frozen=True)
class Container:
    """What a container is given: its variables, and a folder of files."""

    place: str
    is_edge: bool
    variables: Mapping[str, str]
    secrets: Path


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
            )


def _of(container: Container) -> Iterator[str]:
    known = EDGE_NAMES if container.is_edge else SERVICE_NAMES
    for name in container.variables:
        if name not in known:
            yield f"{container.place}: {name} is no setting; see docs/settings.md"
    if not container.is_edge:
        for file in sorted(container.secrets.glob("weft_*")):
            if file.name.upper() not in known:
                yield f"{container.place}: the secret {file.name} is no setting; see docs/settings.md"
    with mock.patch.dict(os.environ, dict(container.variables), clear=True):
        try:
            if container.is_edge:
                edge.read()
            else:
                overrides: dict[str, Any] = {"_secrets_dir": container.secrets}
                os.environ.pop(settings.SECRETS_FOLDER)
                settings.read(**overrides)
        except (settings.SettingsError, edge.SettingsError) as error:
            yield f"{container.place}: {error}"


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
        found = faults(of_compose(COMPOSE, state))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
