"""OAuth 2.0 and OpenID Connect at the edge, with the libraries that partners use, unchanged."""

import secrets
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from authlib.integrations.base_client.sync_app import BaseApp, OAuth2Mixin
from authlib.integrations.base_client.sync_openid import OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.errors import InvalidClaimError
from joserfc.jwk import RSAKey
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

from deploy.local.demo.scenario import Account, Scenario

pytestmark = pytest.mark.e2e
CALLBACK = "http://127.0.0.1/callback"
SCOPE = "openid profile email offline_access orders.read"


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    # The local mesh is on loopback; both libraries ask for this.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture
def known(scenario: Scenario) -> dict[str, Any]:
    """What a relying party discovers."""
    return requests.get(f"{scenario.mesh['edge']}/.well-known/openid-configuration", timeout=10).json()


def new_client(scenario: Scenario, **registration: Any) -> dict[str, Any]:
    """A client of a new partner."""
    operator = scenario.mesh["operator"]
    body = {"email": operator["email"], "password": operator["password"]}
    account = Account(scenario.call("POST", "/v1/auth:signIn", body).json()["accessToken"])
    scopes = ["orders.read", "users.read"]
    new = {"displayName": "Library", "plan": "PLAN_PREMIUM", "scopes": scopes}
    partner = scenario.call("POST", "/v1/partners", new, account, key=str(uuid.uuid4()), expect=201).json()
    path = f"/v1/partners/{partner['partnerId']}/clients"
    return scenario.call("POST", path, {"displayName": "Library", "scopes": scopes, **registration}, account).json()


def allow(address: str, customer: Account) -> str:
    """What the page does for a person who signs in and allows it; where they are sent."""
    edge, parameters = address.partition("?")[0], parse_qs(urlsplit(address).query)
    asked = {name: values[0] for name, values in parameters.items()}
    page = requests.get(address, headers={"accept": "text/html"}, timeout=10, allow_redirects=False)
    assert (page.status_code, page.headers["x-frame-options"]) == (200, "DENY"), page.text
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    body = {"authorizationRequest": asked, "decision": "CONSENT_DECISION_APPROVE"}
    headers = {"authorization": f"Bearer {customer.token}"}
    reply = requests.post(edge, json=body, headers=headers, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()["redirectUri"]


def test_requests_oauthlib_gets_tokens_of_a_client(scenario: Scenario, known: dict[str, Any]) -> None:
    client = new_client(scenario)
    session = OAuth2Session(client=BackendApplicationClient(client["clientId"], scope=["orders.read"]))
    token = session.fetch_token(known["token_endpoint"], client_secret=client["secret"])
    assert token["scope"] == ["orders.read"]
    assert session.get(f"{known['issuer']}/v1/orders").status_code == 200


def test_authlib_authenticates_with_a_key(scenario: Scenario, known: dict[str, Any]) -> None:
    key = RSAKey.generate_key(2048, {"kid": "k1"})
    keys = {"keys": [key.as_dict(private=False)]}
    client = new_client(scenario, authentication="CLIENT_AUTHENTICATION_PRIVATE_KEY", jwks=keys)
    assert client["secret"] == ""
    session = AuthlibSession(
        client["clientId"], key.as_pem(private=True).decode(), token_endpoint_auth_method="private_key_jwt"
    )
    session.register_client_auth_method(PrivateKeyJWT(known["token_endpoint"]))
    assert session.fetch_token(known["token_endpoint"], grant_type="client_credentials")["expires_in"] == 900


def test_a_relying_party_of_authlib_signs_a_person_in(
    scenario: Scenario, known: dict[str, Any], customer: Account
) -> None:
    client = new_client(scenario, redirectUris=[CALLBACK])
    session = AuthlibSession(
        client["clientId"], client["secret"], scope=SCOPE, redirect_uri=CALLBACK, code_challenge_method="S256"
    )
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_hex(8)
    address, state = session.create_authorization_url(
        known["authorization_endpoint"], code_verifier=verifier, nonce=nonce, unknown_to_weft="ignored"
    )
    back = allow(address.replace("&unknown_to_weft=ignored", ""), customer)
    assert requests.get(address, timeout=10).json()["client_name"] == "Library"
    assert parse_qs(urlsplit(back).query)["iss"] == [known["issuer"]]
    token = session.fetch_token(
        known["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier
    )

    keys = jwt.PyJWKClient(known["jwks_uri"])
    claims = jwt.decode(
        token["id_token"],
        keys.get_signing_key_from_jwt(token["id_token"]).key,
        algorithms=known["id_token_signing_alg_values_supported"],
        audience=client["clientId"],
        issuer=known["issuer"],
        options={"require": ["exp", "iat", "sub", "nonce", "auth_time", "at_hash"]},
    )
    assert (claims["sub"], claims["nonce"]) == (customer.user_id, nonce)
    info = session.get(known["userinfo_endpoint"]).json()
    assert (info["sub"], info["email"], info["email_verified"]) == (customer.user_id, customer.email, True)
    assert session.get(f"{known['issuer']}/v1/users/me").status_code == 403
    assert session.get(f"{known['issuer']}/v1/orders").status_code == 200

    fresh = session.refresh_token(known["token_endpoint"], refresh_token=token["refresh_token"])
    assert fresh["access_token"] != token["access_token"]
    assert session.revoke_token(known["revocation_endpoint"], token=fresh["refresh_token"]).status_code == 200
    refused = requests.post(
        known["token_endpoint"],
        data={"grant_type": "refresh_token", "refresh_token": fresh["refresh_token"]},
        auth=(client["clientId"], client["secret"]),
        timeout=10,
    )
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert refused.headers["cache-control"] == "no-store"


class Framework:
    """What Authlib's client asks of a web framework, of which there is none."""

    name = "weft"


class RelyingParty(OAuth2Mixin, OpenIDMixin, BaseApp):
    """Authlib's OpenID Connect client, as in its integrations with web frameworks."""

    client_cls = AuthlibSession


def test_authlibs_own_openid_client_verifies_the_id_token(scenario: Scenario, customer: Account) -> None:
    client = new_client(scenario, redirectUris=[CALLBACK])
    discovery = f"{scenario.mesh['edge']}/.well-known/openid-configuration"
    kwargs = {"scope": "openid email", "code_challenge_method": "S256"}
    party = RelyingParty(
        Framework(),
        name="weft",
        client_id=client["clientId"],
        client_secret=client["secret"],
        server_metadata_url=discovery,
        client_kwargs=kwargs,
    )
    asked = party.create_authorization_url(CALLBACK)
    answer = parse_qs(urlsplit(allow(asked["url"], customer)).query)
    assert answer["state"] == [asked["state"]]
    token = party.fetch_access_token(
        code=answer["code"][0], redirect_uri=CALLBACK, code_verifier=asked["code_verifier"]
    )
    assert party.parse_id_token(token, nonce=asked["nonce"])["sub"] == customer.user_id
    with pytest.raises(InvalidClaimError, match="nonce"):
        party.parse_id_token(token, nonce="of another sign-in")
    assert party.userinfo(token=token)["email"] == customer.email


def test_a_native_app_of_requests_oauthlib_uses_pkce(
    scenario: Scenario, known: dict[str, Any], customer: Account
) -> None:
    client = new_client(scenario, authentication="CLIENT_AUTHENTICATION_NONE", redirectUris=[CALLBACK])
    own = "http://127.0.0.1:49152/callback"
    session = OAuth2Session(client["clientId"], redirect_uri=own, scope=["orders.read"], pkce="S256")
    address, _ = session.authorization_url(known["authorization_endpoint"])
    back = allow(address, customer)
    token = session.fetch_token(known["token_endpoint"], authorization_response=back, include_client_id=True)
    assert token["scope"] == ["orders.read"]


def test_errors_go_to_the_client_or_nowhere(scenario: Scenario, known: dict[str, Any]) -> None:
    client = new_client(scenario, redirectUris=[CALLBACK])
    asked = {"client_id": client["clientId"], "redirect_uri": CALLBACK, "response_type": "code", "state": "s"}
    plain = requests.get(known["authorization_endpoint"], asked, timeout=10, allow_redirects=False)
    assert plain.status_code == 302
    told = parse_qs(urlsplit(plain.headers["location"]).query)
    assert (told["error"], told["state"], told["iss"]) == (["invalid_request"], ["s"], [known["issuer"]])
    for wrong in ({"redirect_uri": "https://evil.example"}, {"client_id": "cli_x"}, {"request": "eyJ"}):
        nowhere = requests.get(known["authorization_endpoint"], asked | wrong, timeout=10, allow_redirects=False)
        assert (nowhere.status_code, nowhere.json()["error"]) == (400, "invalid_request")
        assert "location" not in nowhere.headers
    without = requests.get(known["userinfo_endpoint"], timeout=10)
    assert without.status_code == 401
    assert without.headers["www-authenticate"].startswith("Bearer")
