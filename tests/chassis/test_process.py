"""A process that cannot start ends at once, with one sentence."""

import json
import socket
import subprocess
import sys

import psycopg
import pytest

from chassis import postgres
from chassis.settings import SettingsError
from chassis.storage import migrations
from deploy.local.options import ROOT
from services.order.tables import metadata

KEYS = json.dumps({"k1": "A" * 43 + "="})


@pytest.fixture
def run(postgres_url, certificates, commands):
    """Runs a command of the order service to its end."""

    def command(verb: str, **settings: str) -> subprocess.CompletedProcess[str]:
        env = {
            "WEFT_ENVIRONMENT": "development",
            "WEFT_DATABASE_URL": postgres_url,
            "WEFT_DATABASE_PREFIX": "process",
            "WEFT_DATA_KEYS": KEYS,
            "WEFT_TLS_CERT": str(certificates.certificate("order")),
            "WEFT_TLS_KEY": str(certificates.key("order")),
            "WEFT_TLS_CA": str(certificates.ca),
            "WEFT_PEERS": json.dumps({name: ["127.0.0.1:1"] for name in ("user", "order", "notification")}),
            **settings,
        }
        return commands.run("order", verb, env=env)

    return command


def said(run: subprocess.CompletedProcess[str]) -> str:
    """The last line of a run that failed, after which there must be no traceback."""
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    return run.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("setting", ["WEFT_LISTEN", "WEFT_METRICS_LISTEN"])
def test_a_taken_port_ends_the_process(run, setting):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"

        sentence = said(run("serve", **{setting: address}))

    assert sentence.startswith(f"weft-order: {setting}: {address} is in use or not an address of this host")
    assert sentence.endswith("; set another one.")


def test_production_takes_no_setting_that_is_for_development(run):
    production = {"WEFT_ENVIRONMENT": "production", "WEFT_ISSUER": "https://weft.test", "WEFT_RECORD_REASONS": ""}
    assert said(run("serve", **production, WEFT_TLS="off", WEFT_WEBHOOK_ALLOWED='["127.0.0.1"]')) == (
        "weft-order: WEFT_TLS: off is for development; name certificates in WEFT_TLS_CERT, WEFT_TLS_KEY and WEFT_TLS_CA, and leave it on."
        " WEFT_WEBHOOK_ALLOWED: it opens private addresses to webhooks; unset it."
    )
    assert said(run("serve", **production)) == (
        "weft-order: WEFT_STRIPE_KEY: set it, or WEFT_SANDBOX_FOR_LIVE=true where orders in LIVE are to move no money."
    )


def test_a_certificate_that_is_not_there_ends_the_process(run):
    sentence = said(run("serve", WEFT_TLS_CERT="/nowhere/order.crt"))

    assert sentence == (
        "weft-order: it cannot start: No such file or directory (/nowhere/order.crt); fix that and start it again."
    )


def test_what_the_database_server_says_is_said(run, postgres_url):
    wrong = said(run("migrate", WEFT_DATABASE_URL=postgres_url.replace(":test@", ":wrong@")))
    unknown = said(run("migrate", WEFT_DATABASE_URL=postgres_url.replace("weft:test@", "stranger:test@")))
    missing = said(run("bootstrap", WEFT_DATABASE_PREFIX="nowhere"))
    silent = said(run("migrate", WEFT_DATABASE_URL="postgresql://weft:test@127.0.0.1:1"))

    remedy = "; check WEFT_DATABASE_URL and the server."
    assert wrong == f'weft-order: the database refuses (password authentication failed for user "weft"){remedy}'
    assert unknown == f'weft-order: the database refuses (password authentication failed for user "stranger"){remedy}'
    assert missing == f'weft-order: the database refuses (database "nowhere_order" does not exist){remedy}'
    assert silent == f"weft-order: the database does not answer (Connection refused){remedy}"


def test_a_role_that_may_not_is_said(run, postgres_url):
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE ROLE meek LOGIN PASSWORD 'test'")

    sentence = said(run("migrate", WEFT_DATABASE_URL=postgres_url.replace("weft:test@", "meek:test@")))

    assert sentence == (
        "weft-order: the database refuses (permission denied to create database); check WEFT_DATABASE_URL and the server."
    )


def test_a_server_that_is_too_old_is_refused(postgres_url, monkeypatch):
    monkeypatch.setattr(postgres, "MIN_VERSION", 99)

    with pytest.raises(SettingsError, match=r"the server is PostgreSQL 18; name one of 99 or newer\.$"):
        migrations.migrate(f"{postgres_url}/too_old", ROOT / "services" / "order" / "migrations", metadata)


def test_an_address_that_is_none_is_said(run):
    sentence = said(run("migrate", WEFT_DATABASE_URL="postgresql:/malformed"))

    assert sentence == "weft-order: WEFT_DATABASE_URL: write postgresql://role:password@host:port."


def test_a_process_that_has_stopped_waits_for_none_of_its_threads():
    """One may wait for a name server that does not answer."""
    program = (
        "import time, threading; from concurrent.futures import ThreadPoolExecutor; from chassis.process import _leave\n"
        "begun = threading.Event()\n"
        "ThreadPoolExecutor(1).submit(lambda: (begun.set(), time.sleep(600)))\n"
        "begun.wait(); print('stopped'); _leave(3)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (3, "stopped\n")
