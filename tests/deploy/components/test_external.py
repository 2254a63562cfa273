"""Servers that the environment names are asked at the start: what can never work is refused, what is silent is said."""

import os
import socket
import subprocess
import sys

import pytest

from deploy.local.options import ROOT


def run(home, *module: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**os.environ, "WEFT_HOME": str(home), "WEFT_EDGE_PORT": "31998", **env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


REFUSED = [
    (
        "WEFT_DATABASE_URL",
        "postgresql:/x",
        "WEFT_DATABASE_URL is malformed: write postgresql://role:password@host:port.",
    ),
    (
        "WEFT_DATABASE_URL",
        "postgresql://weft:secret@127.0.0.1:1",
        "WEFT_DATABASE_URL: the database does not answer (Connection refused); check WEFT_DATABASE_URL and the server.",
    ),
    (
        "WEFT_REDIS_URL",
        "127.0.0.1:6379",
        "WEFT_REDIS_URL is malformed: write redis://[user:password@]host:port[/number], or rediss://.",
    ),
    (
        "WEFT_REDIS_URL",
        "redis://localhost:port",
        "WEFT_REDIS_URL is malformed: write redis://[user:password@]host:port[/number], or rediss://.",
    ),
    (
        "WEFT_OTLP_ENDPOINT",
        "localhost:4317",
        "WEFT_OTLP_ENDPOINT is malformed: write http://host:port, or https://; the port is of OTLP over gRPC.",
    ),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_a_mesh_does_not_start_with_what_can_never_work(home, name, value, sentence):
    done = run(home.folder, "deploy.local", "run", **{name: value})

    assert done.returncode == 1
    assert done.stderr == f"{sentence}\n"
    assert "ready http" not in done.stdout


def test_what_the_servers_say_to_a_wrong_password_is_said(home, postgres_url, valkey_url):
    database = run(home.folder, "deploy.local", "run", WEFT_DATABASE_URL=postgres_url.replace(":test@", ":wrong@"))
    cache = run(home.folder, "deploy.local", "run", WEFT_REDIS_URL=valkey_url.replace(":test@", ":wrong@"))

    assert database.stderr == (
        'WEFT_DATABASE_URL: the database refuses (password authentication failed for user "weft"); '
        "check WEFT_DATABASE_URL and the server.\n"
    )
    assert cache.stderr.startswith("WEFT_REDIS_URL: the server refuses (invalid username-password pair")
    assert cache.stderr.endswith("): check user and password.\n")
    assert {database.returncode, cache.returncode} == {1}
    assert "wrong" not in database.stdout + database.stderr + cache.stdout + cache.stderr


def test_what_the_mesh_can_begin_without_is_a_warning(home):
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        env = {"WEFT_REDIS_URL": f"redis://127.0.0.1:{port}", "WEFT_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}

        done = run(home.folder, "deploy.local.components.external", **env)

    cache, traces = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert cache.startswith(f"WEFT_REDIS_URL: no server answers at 127.0.0.1:{port} (")
    assert cache.endswith("): no cache until one does.")
    assert traces == (
        f"WEFT_OTLP_ENDPOINT: 127.0.0.1:{port} takes no spans over gRPC (UNAVAILABLE): traces are lost until it does."
    )


def test_servers_that_answer_are_met_without_a_word(home, postgres_url, valkey_url):
    done = run(
        home.folder, "deploy.local.components.external", WEFT_DATABASE_URL=postgres_url, WEFT_REDIS_URL=valkey_url
    )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
