"""The recipe for a new service, followed: a fourth one in a copy of the tree, generated, started in the mesh and called.

Nothing of the chassis, the edge, the generators, the clients or the mesh is edited: `new_service/` and two scopes are all
there is. The tests run in order, on one mesh.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from codegen import check_gen, openapi

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.e2e

CALLER = """
import asyncio, faulthandler, json, sys, weft_client

faulthandler.dump_traceback_later(25, exit=True)  # prints the stacks, should it ever hang

async def main(target, ca, client_id, client_secret):
    credentials = weft_client.ClientCredentials(client_id, client_secret)
    async with weft_client.AsyncWeft(target, auth=credentials, tls=weft_client.Tls(ca)) as weft:
        note = await weft.notes.create_note(text="Water the plants.")
        again = await weft.notes.get_note(note_id=note.note_id)
        seen = []
        async for event in weft.notes.watch_notes():
            seen.append(event.note.text)
            if len(seen) == 2:
                break
        try:
            await weft.notes.get_note(note_id="nte_00000000000000000000000000")
        except weft_client.errors.NoteNotFound as error:
            print(json.dumps({"same": note == again, "seen": seen, "missing": error.metadata}))

asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 20))
"""


@pytest.fixture(scope="module")
def tree(folder: Path, copied: Callable[[Path], Path]) -> Path:
    """A copy of the repository with the new service in it, generated."""
    return copied(folder / "fourth service")


@pytest.fixture(scope="module")
def mesh(tree: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """The copy's own mesh, running: the content of its `mesh.json`."""
    home = folder / "fourth home"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = check_gen.environment(tree) | {"WEFT_HOME": str(home), "WEFT_EDGE_PORT": str(port)}
    command = [sys.executable, "-m", "deploy.local", "run"]
    log = folder / "fourth.log"
    with (
        log.open("wb") as said,
        subprocess.Popen(command, cwd=tree, env=environment, stdout=said, stderr=said) as process,
    ):
        try:
            ready = home / "mesh.json"
            end = time.monotonic() + 180
            while not ready.exists():
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < end, log.read_text()[-3000:]
                time.sleep(0.1)
            yield json.loads(ready.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.fixture(scope="module")
def client(mesh: dict[str, Any]) -> dict[str, str]:
    """A partner's client with the new service's scopes, made by the operator as for any other."""
    with httpx.Client(base_url=mesh["edge"], timeout=20) as edge:
        signed_in = edge.post("/v1/auth:signIn", json=mesh["operator"]).json()
        edge.headers["authorization"] = f"Bearer {signed_in['accessToken']}"
        wanted = {"displayName": "Notes Ltd", "scopes": ["notes.read", "notes.write"]}
        partner = edge.post("/v1/partners", json=wanted | {"plan": "PLAN_STANDARD"}).json()
        made: dict[str, str] = edge.post(f"/v1/partners/{partner['partnerId']}/clients", json=wanted).json()
        return made


@pytest.fixture(scope="module")
def partner(mesh: dict[str, Any], client: dict[str, str]) -> Iterator[httpx.Client]:
    """Calls the edge with the client's token."""
    with httpx.Client(base_url=mesh["edge"], timeout=20) as edge:
        form = {"grant_type": "client_credentials"}
        token = edge.post("/oauth2/token", data=form, auth=(client["clientId"], client["secret"])).json()
        edge.headers["authorization"] = f"Bearer {token['access_token']}"
        yield edge


def test_it_answers_over_rest(partner: httpx.Client) -> None:
    keyed = {"idempotency-key": "one"}
    made = partner.post("/v1/notes", json={"text": "Call back on Monday."}, headers=keyed)
    note = made.json()
    assert (made.status_code, made.headers["location"]) == (201, f"/v1/notes/{note['noteId']}")
    again = partner.post("/v1/notes", json={"text": "Call back on Monday."}, headers=keyed)
    assert (again.headers["idempotency-replayed"], again.json()) == ("true", note)
    assert partner.get(f"/v1/notes/{note['noteId']}").json() == note
    with partner.stream("GET", "/v1/notes:watch") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        event = next(line for line in stream.iter_lines() if line)
    assert json.loads(event.removeprefix("data: ")) == {"cursor": note["noteId"], "note": note}


def test_its_policy_is_enforced_and_its_errors_have_the_one_format(mesh: dict[str, Any], partner: httpx.Client) -> None:
    def reason(answer: httpx.Response) -> tuple[int, str, str]:
        info = answer.json()["details"][0]
        return answer.status_code, info["domain"], info["reason"]

    unknown = partner.get("/v1/notes/nte_00000000000000000000000000")
    assert reason(unknown) == (404, "weft.note.v1", "NOTE_NOT_FOUND")
    assert reason(partner.post("/v1/notes", json={"text": ""})) == (400, "weft.api.v1", "REQUEST_INVALID")
    assert reason(partner.post("/v1/notes", json={"txt": "x"})) == (400, "weft.api.v1", "UNKNOWN_FIELD")
    assert reason(httpx.get(f"{mesh['edge']}/v1/notes:watch")) == (401, "weft.api.v1", "TOKEN_MISSING")


def test_its_generated_client_calls_it(tree: Path, mesh: dict[str, Any], client: dict[str, str]) -> None:
    target = mesh["edge_tls"].removeprefix("https://")
    arguments = [target, mesh["ca"], client["clientId"], client["secret"]]
    done = subprocess.run(
        [sys.executable, "-c", CALLER, *arguments],
        cwd=tree,
        env=check_gen.environment(tree),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "same": True,
        "seen": ["Call back on Monday.", "Water the plants."],
        "missing": {"note_id": "nte_00000000000000000000000000"},
    }


def test_its_document_is_served(mesh: dict[str, Any], tree: Path) -> None:
    served = httpx.get(f"{mesh['edge']}/openapi.json").json()
    assert served == json.loads((tree / openapi.FILE).read_text())
    assert {"/v1/notes", "/v1/notes/{note_id}", "/v1/notes:watch"} <= set(served["paths"])
    assert httpx.get(f"{mesh['edge']}/docs/").text.count("http") == 0
