"""`deploy/compose.yaml`: its settings are known and enough, and no container has more than it needs."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import contract
from deploy.checks.settings import COMPOSE, faults, of_compose
from deploy.compose.state import State
from deploy.local.components import services
from deploy.local.options import ROOT
from deploy.local.state.secret import secret

NAMES = services.names(contract.load())
Json = dict[str, Any]
Change = Callable[[Json], object]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    state = State(tmp_path_factory.mktemp("compose"), NAMES)
    state.prepare()
    return state


@pytest.fixture(scope="module")
def containers() -> Json:
    found: Json = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda c: None, []),
        (
            lambda c: c["order"]["environment"].update(WEFT_POOLSIZE="8"),
            ["order: WEFT_POOLSIZE is no setting: write one of docs/settings.md, or drop it."],
        ),
        (
            lambda c: c["user"]["environment"].pop("WEFT_TLS_KEY"),
            ["user: Set WEFT_TLS_CERT, WEFT_TLS_KEY and WEFT_TLS_CA, or WEFT_TLS=off where nothing is at stake."],
        ),
        (
            lambda c: c["user-migrate"].update(volumes=["${WEFT_STATE}/secrets/postgres:/run/weft:ro"]),
            ["user-migrate: Settings are wrong: WEFT_DATABASE_URL: field required."],
        ),
        (
            lambda c: c["edge"]["environment"].pop("WEFT_PEERS"),
            ["edge: settings are wrong: WEFT_PEERS: field required."],
        ),
        (
            lambda c: c["notification"]["environment"].pop("WEFT_SMS_FROM"),
            ["notification: WEFT_SMS_FROM: write the number"],
        ),
        (
            lambda c: c["notification"]["environment"].update(WEFT_ENVIRONMENT="production"),
            ["notification: WEFT_ISSUER: tokens and passwords cross http:// in the clear"],
        ),
    ],
    ids=[
        "as it is",
        "unknown",
        "needed and unset",
        "no secrets",
        "edge",
        "of a service itself",
        "for development only",
    ],
)
def test_settings_are_known_and_enough(change: Change, wanted: list[str], state: State, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    read = yaml.safe_load(COMPOSE.read_text())
    read["services"] = {
        name: copy.deepcopy(one) for name, one in read["services"].items()
    }  # aliases share no values now
    change(read["services"])
    file.write_text(yaml.safe_dump(read))
    found = faults(of_compose(file, state))
    assert len(found) == len(wanted)
    assert all(fault.startswith(f"compose.yaml: {start}") for fault, start in zip(found, wanted, strict=True)), found


@pytest.mark.parametrize("service", NAMES)
@pytest.mark.parametrize("verb", ["serve", "migrate", "bootstrap"])
def test_each_command_of_a_service_has_that_service_s_secrets(service: str, verb: str, containers: Json) -> None:
    name = service if verb == "serve" else f"{service}-{verb}"
    assert containers[name]["command"] == [f"services.{service}", verb]
    (volume,) = containers[name]["volumes"]
    assert volume.partition("/secrets/")[2].partition(":")[0].partition("-")[0] == service


def test_containers_may_write_and_do_nothing_that_they_need_not(containers: Json) -> None:
    for name, container in containers.items():
        assert container["cap_drop"] == ["ALL"], name
        assert container["security_opt"] == ["no-new-privileges:true"], name
        assert container.get("read_only") or name == "postgres", name
        assert all(port.startswith("127.0.0.1:") for port in container.get("ports", [])), name
        assert not container["image"].endswith(":latest"), name
        assert container["mem_limit"] and container["pids_limit"], name
        assert not container.get("cap_add") or name == "postgres", name
        assert container.get("user") != "0", name
        assert [volume for volume in container["volumes"] if volume.startswith("/")] == [], name
        assert "env_file" not in container, f"{name}: whoever may inspect it sees secrets"


def test_no_container_finds_another_s_secrets(state: State) -> None:
    secrets = state.credentials()
    for service in NAMES:
        foreign = [secrets.serving_password(other) for other in NAMES if other != service]
        foreign += [secrets.owner_password(other) for other in NAMES]
        text = "".join(path.read_text() for path in (state.folder / "secrets" / service).iterdir())
        assert not [secret for secret in foreign if secret in text]
    assert state.folder.stat().st_mode & 0o077 == 0


def test_secrets_are_in_files_only(containers: Json, state: State) -> None:
    text = json.dumps(containers)
    made = {path.read_text() for path in (state.folder / "secrets").rglob("weft_*") if len(path.read_text()) > 8}
    assert made
    assert [secret for secret in made if secret in text] == []


def test_a_sink_takes_its_secrets_from_files(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_SECRETS_FOLDER", str(state.folder / "secrets" / "sinks"))
    made = state.credentials()
    assert [secret(f"WEFT_{of}_PASSWORD") for of in ("MAIL", "SMS", "PUSH", "WEBHOOK")] == [
        made.mail_password, made.sms_password, made.push_password, made.webhook_password,
    ]  # fmt: skip
    monkeypatch.delenv("WEFT_SECRETS_FOLDER")
    with pytest.raises(KeyError, match="set WEFT_MAIL_PASSWORD, or WEFT_SECRETS_FOLDER to a folder"):
        secret("WEFT_MAIL_PASSWORD")


@pytest.mark.parametrize(
    "sink", ["components.mail_sink", "components.sms_sink", "components.push_sink", "sinks.webhook_sink"]
)
def test_a_sink_needs_nothing_but_what_its_image_has(sink: str) -> None:
    absent = {"codegen", "deploy.container.edge", "wasmtime", "buf", "grpc_tools"}
    code = f"import sys, deploy.local.{sink}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not absent & set(loaded)
    assert "cp -r deploy/local " in (ROOT / "deploy" / "docker" / "assemble.sh").read_text()


def test_what_the_dashboards_need_names_what_is_there(containers: Json) -> None:
    """The files that the profile `observability` mounts, against each other: there are no schemas of most."""
    folder = ROOT / "deploy" / "observability"
    profile = {name: one for name, one in containers.items() if one.get("profiles") == ["observability"]}
    mounts = [volume.split(":")[:2] for one in profile.values() for volume in one["volumes"] if volume.startswith("./")]
    assert all((ROOT / "deploy" / source).exists() for source, _ in mounts)
    collector, loki, tempo, prometheus, sources = (
        yaml.safe_load((folder / name).read_text())
        for name in ("collector.yaml", "loki.yaml", "tempo.yaml", "prometheus.yaml", "grafana/datasources/weft.yaml")
    )
    received = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
    serving = {"loki": loki["server"]["http_listen_port"], "tempo": tempo["server"]["http_listen_port"]}
    assert [one["endpoint"] for one in collector["exporters"].values()] == [
        f"tempo:{received}", f"http://loki:{serving['loki']}/otlp",
    ]  # fmt: skip
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert collector[kind].keys() >= set(names)
    assert {one["uid"]: one["url"] for one in sources["datasources"]} == {
        "prometheus": "http://prometheus:9090", **{name: f"http://{name}:{port}" for name, port in serving.items()},
    }  # fmt: skip
    asked = set(re.findall(r'"uid": "(\w+)"', "".join(path.read_text() for path in folder.glob("dashboards/*.json"))))
    assert asked & profile.keys() == {"prometheus"}
    home = Path(profile["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    shown = {target: source for source, target in mounts}[str(home.parent)]
    assert (ROOT / "deploy" / shown / home.name).exists()
    scraped = {
        name: step["port"]
        for job in prometheus["scrape_configs"]
        for step in job["dns_sd_configs"]
        for name in step["names"]
    }
    edge = containers["edge"]["environment"]["WEFT_EDGE_METRICS_LISTEN"].rpartition(":")[2]
    assert scraped == {**dict.fromkeys(NAMES, 9100), "edge": int(edge)}
    assert set(scraped) <= containers.keys()
