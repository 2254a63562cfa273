"""Whose account it is, from the edge to the mailbox and back."""

import uuid
from email.message import EmailMessage

import pytest

from deploy.local.demo import mailbox
from deploy.local.demo.scenario import Scenario

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
    assert "555" not in "".join(str(mail) for mail in mails)

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
