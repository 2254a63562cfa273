"""The edge's container, without one: its process writes the configuration, runs Envoy, and ends softly."""

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.environments.edge import RULES
from chassis.environments.rule import PRODUCTION, STAGED
from codegen.envoy.bootstrap import CONFIG
from deploy.container import edge, probe
from deploy.container.bake import bake
from deploy.local.options import ROOT
from tests.servers import free_ports, wait_until

PEERS = {name: [f"127.0.0.1:{port}"] for port, name in enumerate(("user", "order", "notification"), start=1)}
Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Starts the container's process with these settings."""

    def start(**settings: str) -> "subprocess.Popen[str]":
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "WEFT_PEERS": json.dumps(PEERS),
            "WEFT_EDGE_FOLDER": str(tmp_path / "run"),
            "WEFT_EDGE_BAKED": str(tmp_path / "baked"),
            "WEFT_EDGE_HTTPS_LISTEN": "",
            **settings,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.container.edge"],
            cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    return start


def test_it_serves_and_waits_for_callers_when_it_ends(run: Run, tmp_path: Path) -> None:
    bake(tmp_path / "baked")
    port, metrics = free_ports(2)
    process = run(
        WEFT_ENVIRONMENT="development",
        WEFT_EDGE_HTTP_LISTEN=f"127.0.0.1:{port}",
        WEFT_EDGE_METRICS_LISTEN=f"0.0.0.0:{metrics}",
    )
    try:
        end = time.monotonic() + 20
        with contextlib.redirect_stderr(io.StringIO()):
            while probe.main([f"http://127.0.0.1:{metrics}/ready"]):
                assert time.monotonic() < end
                assert process.poll() is None
        for path in ("/ready", "/stats/prometheus"):  # as a kubelet and Prometheus ask, by the address of a pod
            kubelet = http.client.HTTPConnection("127.0.0.1", metrics, timeout=10)
            kubelet.request("GET", path, headers={"host": f"10.1.2.3:{metrics}"})
            assert kubelet.getresponse().status == 200
            kubelet.close()
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        caller.request("GET", "/docs/")
        assert caller.getresponse().read().startswith(b"<!doctype html>")

        process.send_signal(signal.SIGTERM)
        answers = []
        while not answers or answers[-1] != "close":  # a connection that is open is asked to close, not broken off
            caller.request("GET", "/docs/")
            reply = caller.getresponse()
            reply.read()
            assert reply.status == 200
            answers.append(reply.getheader("connection", ""))
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


def test_who_asks_twice_does_not_wait_for_callers(run: Run, tmp_path: Path) -> None:
    bake(tmp_path / "baked")
    port, metrics = free_ports(2)
    process = run(
        WEFT_ENVIRONMENT="development",
        WEFT_EDGE_HTTP_LISTEN=f"127.0.0.1:{port}",
        WEFT_EDGE_METRICS_LISTEN=f"0.0.0.0:{metrics}",
        WEFT_EDGE_DRAIN="300",
    )
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            wait_until(lambda: not probe.main([f"http://127.0.0.1:{metrics}/ready"]), "the edge")
        with socket.create_connection(("127.0.0.1", port)) as caller:  # who never sends the body that it has promised
            caller.sendall(b"POST /v1/auth:signIn HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n")
            process.send_signal(signal.SIGTERM)
            assert process.stdout is not None
            assert any('"draining"' in line for line in process.stdout)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


def test_it_may_be_ended_before_envoy_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / CONFIG)  # which it cannot get past
    process = run(WEFT_ENVIRONMENT="development")
    try:
        wait_until(lambda: _catches(process.pid, signal.SIGTERM), "a handler", 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


def _catches(pid: int, number: signal.Signals) -> bool:
    (mask,) = re.findall(r"SigCgt:\s(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "weft-edge: WEFT_TLS_CERT: services admit an edge by its certificate alone; set it, "),
        ({"WEFT_PEERS": "["}, "weft-edge: settings are wrong: "),
        (
            {"WEFT_ENVIRONMENT": "development", "WEFT_EDGE_HTTPS_LISTEN": "0.0.0.0:8443"},
            "weft-edge: set WEFT_EDGE_SERVER_CERT and WEFT_EDGE_SERVER_KEY, or WEFT_EDGE_HTTPS_LISTEN to nothing.\n",
        ),
    ],
    ids=["no certificates", "no JSON", "no server certificate"],
)
def test_what_is_missing_is_said_in_one_sentence(run: Run, settings: dict[str, str], sentence: str) -> None:
    process = run(**settings)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.startswith(sentence), said


FIT = {
    "WEFT_PEERS": json.dumps(PEERS),
    "WEFT_ISSUER": "https://weft.test",
    **{f"WEFT_{name}": "/pem" for name in ("TLS_CERT", "TLS_KEY", "TLS_CA", "EDGE_SERVER_CERT", "EDGE_SERVER_KEY")},
}
OPEN = "passwords and tokens cross plain HTTP in the clear"
REFUSED = [
    (STAGED, "WEFT_TLS_CERT", "", "services admit an edge by its certificate alone"),
    (STAGED, "WEFT_EDGE_HTTP_LISTEN", "0.0.0.0:8080", OPEN),
    (STAGED, "WEFT_EDGE_HTTP_LISTEN", "[::]:8080", OPEN),
    (STAGED, "WEFT_EDGE_HTTP_LISTEN", ":8080", OPEN),
    (STAGED, "WEFT_ISSUER", "http://weft.test", "tokens and passwords cross http:// in the clear"),
    (STAGED, "WEFT_ISSUER", "https://weft.example", "it is a host of examples"),
    (STAGED, "WEFT_ISSUER", "https://weft.local", "it is a host of examples"),
    (STAGED, "WEFT_EDGE_CORS_ORIGINS", '["*"]', "pages of any origin could call"),
    (STAGED, "WEFT_EDGE_CORS_ORIGINS", '["https://shop.test", "null"]', "pages of any origin could call"),
    (
        PRODUCTION,
        "WEFT_EDGE_CORS_ORIGINS",
        '["http://shop.test"]',
        "whoever is on the way can change a page that comes over http://",
    ),
]


@pytest.mark.parametrize("environment", ["production", "staging", "development"])
@pytest.mark.parametrize(("environments", "setting", "value", "cause"), REFUSED)
def test_an_environment_refuses_what_is_not_for_it(
    monkeypatch: pytest.MonkeyPatch,
    environments: tuple[str, ...],
    setting: str,
    value: str,
    cause: str,
    environment: str,
) -> None:
    for name, held in {**FIT, setting: value, "WEFT_ENVIRONMENT": environment}.items():
        monkeypatch.setenv(name, held)
    if environment not in environments:
        edge.read()
        return
    with pytest.raises(edge.SettingsError) as refused:
        edge.read()
    assert str(refused.value).startswith(f"{setting}: {cause}; ")
    assert "WEFT_ENVIRONMENT" not in str(refused.value)


def test_every_rule_has_a_case() -> None:
    cases = {(setting, environments) for environments, setting, _, _ in REFUSED}
    assert {(found.setting, found.environments) for found in RULES} == cases


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("WEFT_TLS_KEY", "", "WEFT_TLS_CERT: services admit an edge by its certificate alone"),
        ("WEFT_TLS_CA", "", "WEFT_TLS_CERT: services admit an edge by its certificate alone"),
        ("WEFT_EDGE_SERVER_CERT", "", "set WEFT_EDGE_SERVER_CERT and WEFT_EDGE_SERVER_KEY"),
        ("WEFT_EDGE_SERVER_KEY", "", "set WEFT_EDGE_SERVER_CERT and WEFT_EDGE_SERVER_KEY"),
        ("WEFT_PEERS", "{}", "WEFT_PEERS: nobody would answer for notification, order, user"),
        ("WEFT_PEERS", json.dumps({**PEERS, "order": []}), "WEFT_PEERS: nobody would answer for order;"),
        ("WEFT_CLEARTEXT_ALLOWED", '["WEFT_TLS"]', "WEFT_CLEARTEXT_ALLOWED: 'WEFT_TLS' is none of "),
    ],
)
def test_what_is_empty_is_missing(monkeypatch: pytest.MonkeyPatch, setting: str, value: str, sentence: str) -> None:
    for name, held in {**FIT, setting: value}.items():
        monkeypatch.setenv(name, held)
    with pytest.raises(edge.SettingsError, match=sentence):
        edge.read()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WEFT_EDGE_HTTP_LISTEN": "127.0.0.1:8080"},
        {"WEFT_EDGE_HTTP_LISTEN": "0.0.0.0:8080", "WEFT_CLEARTEXT_ALLOWED": '["WEFT_EDGE_HTTP_LISTEN", "WEFT_REDIS_URL"]'},
        {"WEFT_EDGE_CORS_ORIGINS": '["https://shop.test"]'},
    ],
)  # fmt: skip
def test_production_starts_with_what_is_safe_or_allowed(monkeypatch: pytest.MonkeyPatch, more: dict[str, str]) -> None:
    for name, held in {**FIT, **more}.items():
        monkeypatch.setenv(name, held)
    assert edge.read().environment == "production"
