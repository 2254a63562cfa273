"""Second factors and passkeys over REST, as a page would use them, with the mails that follow."""

from typing import Any

import pyotp
import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from deploy.local.demo.scenario import PASSWORD, Account, Scenario
from tests.edge.protocols import assert_refusal
from tests.user.passkeys.authenticator import Device

pytestmark = pytest.mark.e2e


def as_browser(credential: Struct) -> dict[str, Any]:
    """The JSON of a credential, with members that authenticators of other browsers have."""
    return json_format.MessageToDict(credential) | {"authenticatorAttachment": None, "ofTheFuture": {"new": [1, None]}}


def options(answer: dict[str, Any]) -> Struct:
    return json_format.ParseDict(answer["publicKey"], Struct())


def test_a_page_adds_a_passkey_and_signs_in_with_it(scenario: Scenario) -> None:
    account = scenario.sign_up()
    device = Device(origin=scenario.mesh["edge"].rstrip("/"))
    begun = scenario.call("POST", "/v1/auth:beginPasskeyRegistration", {}, account).json()
    created = as_browser(device.create(options(begun)))
    added = scenario.call(
        "POST", "/v1/auth:finishPasskeyRegistration", {"credential": created, "displayName": "Phone"}, account
    ).json()
    assert (added["displayName"], added["etag"], added["userId"]) == ("Phone", "1", account.user_id)
    path = f"/v1/users/me/passkeys/{added['passkeyId']}"
    assert scenario.call("PATCH", path, {"displayName": "Key"}, account).json()["etag"] == "2"

    begun = scenario.call("POST", "/v1/auth:beginPasskeySignIn", {}).json()
    credential = as_browser(device.get(options(begun)))
    presented = {"credential": credential, "keepInCookie": True}
    signed_in = scenario.call("POST", "/v1/auth:finishPasskeySignIn", presented)
    pair = signed_in.json()
    assert (pair["userId"], pair["refreshToken"]) == (account.user_id, "")
    assert signed_in.headers["set-cookie"].startswith("weft-refresh=wrt_")
    repeated = scenario.call("POST", "/v1/auth:finishPasskeySignIn", {"credential": credential}, expect=None)
    assert_refusal(repeated, "PASSKEY_INVALID")
    malformed = scenario.call("POST", "/v1/auth:finishPasskeySignIn", {"credential": {"id": 7}}, expect=None)
    assert_refusal(malformed, "REQUEST_INVALID", violations={"credential": ""})
    scenario.call("DELETE", path, account=Account(pair["accessToken"], account.user_id, account.email), expect=204)
    subjects = scenario.wait_for(
        "the notices",
        lambda: [mail["Subject"] for mail in scenario.mails(account.email) if "passkey" in mail["Subject"]][1:],
    )
    assert subjects


def test_a_page_asks_for_the_second_step(scenario: Scenario) -> None:
    account = scenario.sign_up()
    enrolled = scenario.call("POST", "/v1/auth:enrollTotp", {"password": PASSWORD}, account).json()
    app = pyotp.parse_uri(enrolled["otpauthUri"])
    codes = scenario.call("POST", "/v1/auth:confirmTotp", {"totpCode": app.now()}, account).json()["recoveryCodes"]
    step = {"email": account.email, "password": PASSWORD}
    refused = scenario.call("POST", "/v1/auth:signIn", step, expect=None)
    assert_refusal(refused, "SECOND_FACTOR_REQUIRED", factors="totp_code, recovery_code")
    scenario.call("POST", "/v1/auth:signIn", step | {"recoveryCode": codes[0]})
    scenario.call("POST", "/v1/auth:signIn", step | {"recoveryCode": codes[0]}, expect=401)
    bad = scenario.call("POST", "/v1/auth:signIn", step | {"totpCode": "12"}, expect=None)
    assert_refusal(bad, "REQUEST_INVALID", violations={"totpCode": "must be empty or six digits"})
    found = scenario.call("GET", "/v1/users/me/totp", account=account).json()
    assert (found["enabled"], found["remainingRecoveryCodes"]) == (True, 9)
