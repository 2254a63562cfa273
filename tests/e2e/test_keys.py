"""Operators exchange keys of a running mesh, and turn its failure switches, by its command line."""

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import jwt
import pytest

from deploy.local.demo.scenario import Account, Scenario
from tests.mesh import Mesh

pytestmark = pytest.mark.e2e


@pytest.fixture
def steps(own_mesh: Mesh) -> Iterator[Scenario]:
    scenario = Scenario(own_mesh.content)
    yield scenario
    scenario.close()


def command(mesh: Mesh, *words: str, code: int = 0) -> str:
    done = mesh.command(*words)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def test_data_keys_are_exchanged_while_people_read_their_profile(own_mesh: Mesh, steps: Scenario) -> None:
    account, stop, read = steps.sign_up(), threading.Event(), []

    def flow() -> None:
        own = Scenario(own_mesh.content)
        while not stop.wait(0.05):
            read.append(own.call("GET", "/v1/users/me", account=account, quiet=True).json()["email"])
        own.close()

    flows = threading.Thread(target=flow)
    flows.start()
    said = command(own_mesh, "rotate", "--data-keys", "user")
    stop.set()
    flows.join()
    assert set(read) == {account.email}
    assert "k2 encrypts what is written." in said
    assert "k1 encrypts nothing. It stays in WEFT_DATA_KEYS, as the first: look-ups are derived from it." in said
    assert "again" not in command(own_mesh, "service", "user", "reencrypt", "--count")
    assert "k1 is the only key" in command(own_mesh, "service", "order", "reencrypt")


def test_signing_keys_are_exchanged_and_a_compromised_one_ends(own_mesh: Mesh, steps: Scenario) -> None:
    account = steps.sign_up()
    keys = jwt.PyJWKClient(f"{own_mesh.content['edge']}/.well-known/jwks.json")
    old = keys.get_signing_key_from_jwt(account.token).key_id
    said = command(own_mesh, "service", "user", "keys", "rotate").splitlines()
    assert said[0].startswith(f"{old} signs since")
    assert "is published, signs from" in said[1]
    assert {key.key_id for key in keys.get_jwk_set(refresh=True).keys} == {line.split()[0] for line in said}
    steps.call("GET", "/v1/orders", account=account)

    began = time.monotonic()
    command(own_mesh, "service", "user", "keys", "revoke", str(old))
    answers = {}
    for path in ("/v1/users/me", "/v1/orders", "/v1/inbox"):
        while (reply := get(own_mesh, path, account)).status_code == 200:
            assert time.monotonic() - began < 20
        answers[path] = reply.status_code
    assert set(answers.values()) == {401}
    assert "no signing key" in command(own_mesh, "service", "user", "keys", "revoke", str(old), code=1)

    operator = own_mesh.content["operator"]
    body = {"email": operator["email"], "password": operator["password"]}
    fresh = Account(steps.call("POST", "/v1/auth:signIn", body).json()["accessToken"])
    assert jwt.get_unverified_header(fresh.token)["kid"] == said[1].split()[0]
    steps.wait_for("the edge to know the key", lambda: get(own_mesh, "/v1/users/me", fresh).status_code == 200)
    steps.wait_for("the order service to know it", lambda: get(own_mesh, "/v1/orders", fresh).status_code == 200)


def get(mesh: Mesh, path: str, account: Account) -> httpx.Response:
    headers = {"authorization": f"Bearer {account.token}"}
    return httpx.get(f"{mesh.content['edge']}{path}", headers=headers, timeout=10, trust_env=False)


def test_failure_switches_are_turned_on_and_off_while_callers_see_them(own_mesh: Mesh, steps: Scenario) -> None:
    def answers(status: int) -> Callable[[], bool]:
        return lambda: httpx.get(f"{own_mesh.content['edge']}/v1/products", trust_env=False).status_code == status

    assert command(own_mesh, "fault", "on", "no-database", "order") == "no-database is on in order\n"
    steps.wait_for("the failure", answers(503))
    assert "no-database          ON in order\n" in command(own_mesh, "fault")
    assert command(own_mesh, "fault", "off", "all") == "no-database is off in order\n"
    steps.wait_for("its end", answers(200))
    assert "There is no failure switch 'rain'" in command(own_mesh, "fault", "on", "rain", code=1)
    assert "order has no switch no-cache: say one of user" in command(
        own_mesh, "fault", "on", "no-cache", "order", code=1
    )


def test_what_is_no_command_is_said(own_mesh: Mesh) -> None:
    assert "There is no service 'usr'" in command(own_mesh, "service", "usr", "keys", code=1)
    assert "what the mesh itself does" in command(own_mesh, "service", "user", "serve", code=1)
    assert "there is no command 'kees'" in command(own_mesh, "service", "user", "kees", code=1)
    assert "There is no service 'usr'" in command(own_mesh, "rotate", "--data-keys", "usr", code=1)
