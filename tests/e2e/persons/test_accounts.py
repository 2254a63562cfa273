"""Whose account it is, from the edge to the mailbox and back."""

import json
import re
import uuid
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from deploy.local.demo import mailbox
from deploy.local.demo.scenario import PASSWORD, Account, Scenario

pytestmark = pytest.mark.e2e

OWNERS, STRANGERS = "the quiet morning of its owner", "the password of a stranger"


def sign_up(scenario: Scenario, address: str, password: str, name: str) -> None:
    body = {"email": address, "password": password, "displayName": name}
    scenario.call("POST", "/v1/auth:signUp", body, expect=202)


@pytest.mark.parametrize("first", ["owner", "stranger"])
def test_no_code_of_the_mailbox_opens_the_account_with_a_strangers_password(scenario: Scenario, first: str) -> None:
    address = f"ada.{uuid.uuid4().hex[:12]}@customer.example"
    people = [("owner", OWNERS, "Ada"), ("stranger", STRANGERS, "Call 555 01 23 at once")]
    for count, (_, password, name) in enumerate(people if first == "owner" else people[::-1], start=1):
        sign_up(scenario, address, password, name)
        mails = scenario.wait_for("the mail", lambda count=count: _mails(scenario, address, count))
    assert "555 01 23" not in "".join(str(mail) for mail in mails)

    answers = []
    for mail in reversed(mails):
        body = {"email": address, "password": OWNERS, "code": mailbox.code(mail)}
        answers.append(scenario.call("POST", "/v1/auth:verifyEmail", body, expect=None).status_code)
    assert sorted(answers) == [204, 400]
    signed_in = [
        scenario.call("POST", "/v1/auth:signIn", {"email": address, "password": password}, expect=None).status_code
        for password in (OWNERS, STRANGERS)
    ]
    assert signed_in == [200, 401]

    sign_up(scenario, address, STRANGERS, "Ada")
    last = scenario.wait_for("the mail", lambda: _mails(scenario, address, 3))[-1]
    assert (last["Subject"], mailbox.code(last)) == ("You already have an account", None)


def _mails(scenario: Scenario, address: str, count: int) -> list[EmailMessage]:
    mails = scenario.mails(address)
    return mails if len(mails) >= count else []


def reset_code(mail: EmailMessage) -> str | None:
    found = re.search(r"\b([0-9A-Z]{4}-){2}[0-9A-Z]{4}\b", mailbox.text(mail))
    return found.group() if found else None


def test_a_person_resets_the_password_and_proves_another_address_and_a_number(scenario: Scenario) -> None:
    ada, new = scenario.sign_up(), f"ada.{uuid.uuid4().hex[:12]}@elsewhere.example"
    scenario.call("POST", "/v1/auth:requestPasswordReset", {"email": ada.email.upper()}, expect=202)
    code = scenario.wait_for(
        "the code of the reset", lambda: next(filter(None, map(reset_code, scenario.mails(ada.email))), None)
    )
    body = {"email": ada.email, "code": code.lower(), "newPassword": OWNERS}
    scenario.call("POST", "/v1/auth:resetPassword", body, expect=204)
    scenario.call("POST", "/v1/auth:resetPassword", body, expect=400)

    def former_token_is_refused() -> bool:
        return scenario.call("GET", "/v1/users/me", account=ada, expect=None).status_code == 401

    scenario.wait_for("the access token of before to be refused", former_token_is_refused)
    scenario.call("POST", "/v1/auth:signIn", {"email": ada.email, "password": PASSWORD}, expect=401)
    pair = scenario.call("POST", "/v1/auth:signIn", {"email": ada.email, "password": OWNERS}).json()
    ada = Account(pair["accessToken"], pair["userId"], ada.email)

    change = {"newEmail": new, "currentPassword": OWNERS}
    scenario.call("POST", "/v1/auth:requestEmailChange", change, ada, expect=202)
    code = scenario.wait_for("the code at the new address", lambda: scenario.code_for(new))
    scenario.call("POST", "/v1/auth:confirmEmailChange", {"code": code}, ada, expect=204)
    assert scenario.wait_for(
        "the warning at the former address",
        lambda: [mail for mail in scenario.mails(ada.email) if "address" in mail["Subject"].lower()][1:],
    )
    scenario.call("POST", "/v1/auth:signIn", {"email": new, "password": OWNERS})

    phone = f"+4366{uuid.uuid4().int % 10**8:08}"
    scenario.call("POST", "/v1/auth:requestPhoneVerification", {"phone": phone}, ada, expect=202)
    text = scenario.wait_for("the text message", lambda: text_to(scenario, phone))
    code = re.search(r"\b[0-9]{8}\b", text["body"])
    assert code is not None
    scenario.call("POST", "/v1/auth:confirmPhone", {"code": code.group()}, ada, expect=204)
    user = scenario.call("GET", "/v1/users/me", account=ada).json()
    assert (user["email"], user["phone"], user["phoneVerified"]) == (new, phone, True)


def text_to(scenario: Scenario, phone: str) -> dict[str, Any] | None:
    kept = (json.loads(file.read_text()) for file in Path(scenario.mesh["sms"]["folder"]).glob("[!.]*.json"))
    return next((text for text in kept if text["to"] == phone), None)
