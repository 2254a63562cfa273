"""What a person does, with values that can be searched for."""

import base64
import re
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp

from deploy.local.components import sms_sink
from deploy.local.demo import mailbox
from deploy.local.demo.scenario import Account, Scenario
from tests.e2e.persons.test_factors import as_browser, options
from tests.e2e.persons.test_oauth_libraries import CALLBACK, allow, new_client
from tests.user.passkeys.authenticator import Device

RESET = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")


class Journey:
    """What a person does, and every value on the way that nobody else may read. `values` are by what they are."""

    def __init__(self, steps: Scenario) -> None:
        self.steps = steps
        self.values: dict[str, str] = {}
        mark = secrets.token_hex(5)
        self.email = self.know("e-mail", f"canary.{mark}@customer.example")
        self.new_email = self.know("new e-mail", f"kanarie.{mark}@customer.example")
        self.password = self.know("password", f"password of {secrets.token_hex(8)}")
        self.name = self.know("display name", f"Canaria {secrets.token_hex(5)}")
        self.phone = self.know("phone", f"+43664{secrets.randbelow(9_000_000) + 1_000_000}")
        self.account = Account("")

    def know(self, what: str, value: str) -> str:
        """Remember a value."""
        self.values[what] = value
        return value

    def post(self, verb: str, body: dict[str, Any], expect: int | None = 200, key: str = "") -> Any:
        """A call of the AuthService."""
        reply = self.steps.call("POST", f"/v1/auth:{verb}", body, self.account if self.account.token else None,
                                expect=expect, key=key)  # fmt: skip
        return reply.json() if reply.content else {}

    def mailed(self, address: str, find: Callable[[str], str | None], count: int = 1) -> str:
        """What the newest mail to an address has, once there are so many that have it."""

        def look() -> str | None:
            found = [value for mail in self.steps.mails(address) if (value := find(mailbox.text(mail)))]
            return found[-1] if len(found) >= count else None

        return self.steps.wait_for(f"a mail to {address}", look)

    def sign_in(self, email: str, **factor: str) -> None:
        """A session, whose tokens are known from then on."""
        self.account = Account("")
        pair = self.post("signIn", {"email": email, "password": self.password, **factor})
        n = len(self.values)
        self.know(f"access token {n}", pair["accessToken"].rsplit(".", 1)[1])
        self.know(f"refresh token {n}", pair["refreshToken"])
        self.account = Account(pair["accessToken"], pair["userId"], email)
        self.refresh_token = pair["refreshToken"]

    def run(self) -> None:
        """All of it."""
        self.sign_up_and_reset()
        self.profile()
        self.change_email()
        self.factors()
        self.orders()
        self.partners()

    def sign_up_and_reset(self) -> None:
        self.post("signUp", {"email": self.email, "password": self.password, "displayName": self.name}, 202)
        code = self.know("verification code", self.mailed(self.email, digits))
        self.post("verifyEmail", {"email": self.email, "password": self.password, "code": code}, 204)
        self.post("requestPasswordReset", {"email": self.email}, 202)
        code = self.know("reset code", self.mailed(self.email, reset_code))
        self.password = self.know("password after reset", f"new word {secrets.token_hex(8)}")
        self.post("resetPassword", {"email": self.email, "code": code, "newPassword": self.password}, 204)
        wrong = self.know("wrong password", f"not the word {secrets.token_hex(6)}")
        self.post("signIn", {"email": self.email, "password": wrong}, 401)
        self.sign_in(self.email)
        pair = self.post("refresh", {"refreshToken": self.refresh_token})
        self.know("rotated refresh token", pair["refreshToken"])
        self.account = Account(pair["accessToken"], self.account.user_id, self.email)
        before, self.password = self.password, self.know("third password", f"third word {secrets.token_hex(8)}")
        self.post("changePassword", {"currentPassword": before, "newPassword": self.password}, None)
        self.sign_in(self.email)

    def profile(self) -> None:
        address = {
            "lines": [self.know("street", f"Kanaryweg {secrets.token_hex(5)}")],
            "locality": self.know("locality", f"Canarytown{secrets.token_hex(4)}"),
            "postalCode": "8010",
            "regionCode": "AT",
            "recipient": self.know("recipient", f"Recipiente {secrets.token_hex(5)}"),
        }
        body = {
            "givenName": self.know("given name", f"Given{secrets.token_hex(5)}"),
            "familyName": self.know("family name", f"Family{secrets.token_hex(5)}"),
            "addresses": [address],
            "metadata": {"note": self.know("metadata", f"meta {secrets.token_hex(6)}")},
        }
        self.steps.call("PATCH", "/v1/users/me", body, self.account)
        self.post("requestPhoneVerification", {"phone": self.phone}, None)
        folder = Path(self.steps.mesh["sms"]["folder"])
        code = self.steps.wait_for("the text message", lambda: next(
            (found for each in sms_sink.messages(folder, self.phone) if (found := digits(each["body"]))), None))  # fmt: skip
        self.post("confirmPhone", {"code": self.know("phone code", code)}, None)
        self.steps.call("GET", "/v1/users/me:export", account=self.account)

    def change_email(self) -> None:
        self.post("requestEmailChange", {"newEmail": self.new_email, "currentPassword": self.password}, None)
        self.post("confirmEmailChange", {"code": self.know("e-mail code", self.mailed(self.new_email, digits))}, None)
        self.sign_in(self.new_email)

    def factors(self) -> None:
        device = Device(origin=self.steps.mesh["edge"].rstrip("/"))
        created = as_browser(device.create(options(self.post("beginPasskeyRegistration", {}))))
        name = self.know("passkey's name", f"Passkey {secrets.token_hex(5)}")
        self.post("finishPasskeyRegistration", {"credential": created, "displayName": name})
        enrolled = self.post("enrollTotp", {"password": self.password})
        app = pyotp.parse_uri(enrolled["otpauthUri"])
        self.know("TOTP secret", app.secret)
        self.know("TOTP secret's bytes", base64.b32decode(app.secret + "=" * (-len(app.secret) % 8)).hex())
        codes = self.post("confirmTotp", {"totpCode": app.now()})["recoveryCodes"]
        for number, code in enumerate(codes):
            self.know(f"recovery code {number}", code)
        self.sign_in(self.new_email, recoveryCode=codes[0])

    def orders(self) -> None:
        placed = self.steps.place_order(self.account, self.steps.products()[0])
        self.steps.wait_for_notification(self.account, placed.order["orderId"])
        address = {
            "lines": [self.know("street of an order", f"Kolibriweg {secrets.token_hex(5)}")],
            "locality": self.know("locality of an order", f"Kolibristadt{secrets.token_hex(4)}"),
            "postalCode": self.know("postal code of an order", f"KO{secrets.token_hex(5)}"),
            "regionCode": "AT",
            "recipient": self.know("recipient of an order", f"Colibrine {secrets.token_hex(5)}"),
        }
        body = {"lines": [{"productId": self.steps.products()[0]["productId"], "quantity": 1}],
                "paymentMethod": "pm_sandbox_ok", "shippingAddress": address}  # fmt: skip
        key = secrets.token_hex(8)
        for _ in range(2):
            sent = self.steps.call("POST", "/v1/orders", body, self.account, key=key, expect=201).json()
        assert sent["shippingAddress"] == {**address, "administrativeArea": ""}
        self.steps.wait_for_notification(self.account, sent["orderId"])
        headers = {"authorization": f"Bearer {self.account.token}"}
        exported = httpx.get(f"{self.steps.mesh['edge']}/v1/orders:export", headers=headers, trust_env=False)
        assert address["recipient"] in exported.text

    def partners(self) -> None:
        client = new_client(self.steps, redirectUris=[CALLBACK])
        self.know("client secret", client["secret"])
        asked = {"client_id": client["clientId"], "redirect_uri": CALLBACK, "response_type": "code", "state": "s",
                 "scope": "openid profile email offline_access orders.read",
                 "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}  # fmt: skip
        edge = self.steps.mesh["edge"]
        back = allow(str(httpx.URL(f"{edge}/oauth2/authorize", params=asked)), self.account)
        code = self.know("authorization code", parse_qs(urlsplit(back).query)["code"][0])
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK,
                "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}  # fmt: skip
        auth = (client["clientId"], client["secret"])
        tokens = httpx.post(f"{edge}/oauth2/token", data=form, auth=auth, trust_env=False).json()
        self.know("app's refresh token", tokens["refresh_token"])
        self.know("app's access token", tokens["access_token"].rsplit(".", 1)[1])
        self.know("ID token", tokens["id_token"].rsplit(".", 1)[1])
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        assert httpx.get(f"{edge}/oauth2/userinfo", headers=headers, trust_env=False).json()["email"] == self.new_email

        partner = self.steps.partner_token()
        body = {
            "email": self.know("partner's customer", f"vogel.{secrets.token_hex(6)}@partner.example"),
            "displayName": self.know("partner's customer's name", f"Vogel {secrets.token_hex(6)}"),
        }
        for _ in range(2):
            self.steps.call("POST", "/v1/users", body, partner, key=body["email"][:12], expect=201)
        operator = self.steps.mesh["operator"]
        signed_in = {"email": operator["email"], "password": self.know("operator's password", operator["password"])}
        admin = Account(self.steps.call("POST", "/v1/auth:signIn", signed_in).json()["accessToken"])
        new = {"displayName": "Canary Ltd", "plan": "PLAN_PREMIUM", "scopes": ["orders.read"]}
        made = self.steps.call("POST", "/v1/partners", new, admin, key=str(uuid.uuid4()), expect=201).json()
        invited = {
            "email": self.know("invited", f"uccello.{secrets.token_hex(6)}@firm.example"),
            "role": "MEMBER_ROLE_OWNER",
        }
        self.steps.call("POST", f"/v1/partners/{made['partnerId']}/members", invited, admin, expect=None)
        self.know("invitation code", self.mailed(invited["email"], reset_code))


def digits(text: str) -> str | None:
    """The eight digits of a code."""
    found = re.search(r"(?<!\d)\d{8}(?!\d)", text)
    return found.group() if found else None


def reset_code(text: str) -> str | None:
    """The code of a reset or an invitation."""
    found = RESET.search(text)
    return found.group() if found else None
