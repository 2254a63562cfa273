"""Sessions through the edge: who signs out is out everywhere within seconds, streams included; a browser has its cookie."""

import threading
import time
from typing import Any

import httpx
import psutil
import pytest

from deploy.local.demo.scenario import PASSWORD, Account, Scenario
from tests.e2e.lifecycle.killing import kill
from tests.edge.protocols import assert_refusal
from tests.mesh import Mesh
from tests.servers import wait_until

pytestmark = pytest.mark.e2e
CSRF = {"x-csrf": "1"}
EVERYWHERE = ("/v1/users/me", "/v1/orders", "/v1/inbox")
"""A path of each service."""


def get(edge: httpx.Client, path: str, token: str) -> httpx.Response:
    return edge.get(path, headers={"authorization": f"Bearer {token}"})


def wait_until_refused(edge: httpx.Client, token: str, seconds: float = 5) -> None:
    """At every service. Asking so often is over the caller's limit, which then says so."""
    taken = set(EVERYWHERE)

    def refused() -> bool:
        for path in sorted(taken):
            answer = get(edge, path, token)
            if answer.status_code == 401:
                assert_refusal(answer, "TOKEN_REVOKED")
                assert answer.headers["www-authenticate"] == 'Bearer realm="weft", error="invalid_token"'
                taken.remove(path)
        return not taken

    wait_until(refused, "every service to refuse the token", seconds)


def sign_in(edge: httpx.Client, account: Account, **more: Any) -> httpx.Response:
    body = {"email": account.email, "password": PASSWORD, **more}
    return edge.post("/v1/auth:signIn", json=body).raise_for_status()


def test_a_browser_keeps_its_session_in_a_cookie_and_signs_out_everywhere(mesh: dict[str, Any], customer: Account):
    with httpx.Client(base_url=mesh["edge"], timeout=30, trust_env=False) as browser:
        signed_in = sign_in(browser, customer, keepInCookie=True)
        assert signed_in.json()["refreshToken"] == ""
        (kept,) = browser.cookies.jar
        assert (kept.name, kept.path, kept.secure) == ("weft-refresh", "/v1/auth:refresh", False)

        refused = browser.post("/v1/auth:refresh", json={})
        assert_refusal(refused, "CROSS_SITE_REQUEST")
        pair = browser.post("/v1/auth:refresh", json={}, headers=CSRF).raise_for_status().json()
        assert (pair["refreshToken"], pair["userId"]) == ("", customer.user_id)
        token = pair["accessToken"]
        listed = browser.get("/v1/users/me/sessions", headers={"authorization": f"Bearer {token}"}).json()["sessions"]
        assert [one["network"] for one in listed if one["current"]] == ["127.0.0.0/24"]

        lines: list[str] = []
        ended = threading.Event()

        def watch() -> None:
            try:
                with browser.stream("GET", "/v1/orders:watch", headers={"authorization": f"Bearer {token}"}) as stream:
                    lines.extend(line for line in stream.iter_lines())
                ended.set()
            except httpx.HTTPError as error:
                lines.append(repr(error))

        threading.Thread(target=watch, daemon=True).start()
        wait_until(lambda: bool(lines), "the first message of the stream")
        begun = time.monotonic()
        signed_out = browser.post("/v1/auth:signOut", json={}, headers={"authorization": f"Bearer {token}"})
        assert signed_out.status_code == 204
        assert list(browser.cookies.jar) == []
        wait_until_refused(browser, token)
        assert ended.wait(max(0.1, begun + 5 - time.monotonic())), f"the stream goes on: {lines}"


def test_revocations_are_heard_of_after_the_user_service_was_killed(own_mesh: Mesh):
    scenario = Scenario(own_mesh.content)
    customer = scenario.sign_up()
    product = scenario.products()[0]
    with httpx.Client(base_url=own_mesh.content["edge"], timeout=30, trust_env=False) as edge:
        before = sign_in(edge, customer).json()
        kill(own_mesh, "user")
        wait_until(lambda: edge.get("/v1/users/me", headers=_bearer(before)).is_success, "the user service", 60)
        scenario.place_order(customer, product)  # writes go on meanwhile and afterwards
        edge.post("/v1/auth:signOut", json={}, headers=_bearer(before)).raise_for_status()
        wait_until_refused(edge, before["accessToken"])
        scenario.place_order(customer, product)
    scenario.close()


def test_without_valkey_people_sign_in_and_out_and_with_it_back_nothing_needs_a_restart(own_mesh: Mesh):
    scenario = Scenario(own_mesh.content)
    customer = scenario.sign_up()
    before = own_mesh.content["pids"]
    valkey = psutil.Process(before["valkey"])
    with httpx.Client(base_url=own_mesh.content["edge"], timeout=30, trust_env=False) as edge:
        valkey.suspend()  # it keeps its connections, and answers nothing
        try:
            wrong = edge.post("/v1/auth:signIn", json={"email": customer.email, "password": "not the password"})
            assert_refusal(wrong, "CREDENTIALS_INVALID")
            pair = sign_in(edge, customer).json()
            for path in EVERYWHERE:
                assert get(edge, path, pair["accessToken"]).status_code == 200, path
            fresh = edge.post("/v1/auth:refresh", json={"refreshToken": pair["refreshToken"]}).raise_for_status().json()
            edge.post("/v1/auth:signOut", json={}, headers=_bearer(fresh)).raise_for_status()
            wait_until_refused(edge, pair["accessToken"])
        finally:
            valkey.resume()
        sign_in(edge, customer)
        scenario.place_order(customer, scenario.products()[0])
    assert own_mesh.content["pids"] == before
    scenario.close()


def _bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {pair['accessToken']}"}
