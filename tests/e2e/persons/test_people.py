"""A person's account over REST: profile, export, erasure."""

import pytest

from deploy.local.demo.scenario import Scenario
from tests.edge.protocols import assert_refusal

pytestmark = pytest.mark.e2e

ADDRESS = {"lines": ["Herrengasse 16"], "locality": "Graz", "postalCode": "8010", "regionCode": "AT"}
BAD = [
    ({"timeZone": "Middle-earth/Shire"}, "REQUEST_INVALID", {"timeZone": "IANA"}),
    ({"locale": "de-de-de"}, "REQUEST_INVALID", {"locale": "BCP 47"}),
    ({"givenName": "x" * 101, "phone": "0660"}, "REQUEST_INVALID", {"givenName": "at most 100 characters"}),
    ({"phone": "0660"}, "REQUEST_INVALID", {"phone": "a phone number such as"}),
    ({"addresses": [{**ADDRESS, "regionCode": "XX"}]}, "REQUEST_INVALID", {"addresses[0].regionCode": "ISO 3166-1"}),
    ({"addresses": [ADDRESS, {**ADDRESS, "lines": []}]}, "REQUEST_INVALID", {"addresses[1].lines": "at least 1"}),
    ({"metadata": {"a b": "c"}}, "REQUEST_INVALID", {'metadata["a b"]': ""}),
    ({"metadata": {"a": 1}}, "JSON_MALFORMED", {"metadata.a": "must be a string"}),
    ({"given_name": "Ada", "givenName": "Ada"}, "JSON_MALFORMED", {"givenName": ""}),
    ({"nickName": "Ada"}, "UNKNOWN_FIELD", {"nickName": ""}),
]


def test_a_person_fills_in_the_profile_exports_it_and_is_erased(scenario: Scenario) -> None:
    ada = scenario.sign_up()
    body = {"givenName": "Ada", "timeZone": "europe/vienna", "addresses": [ADDRESS], "metadata": {"a": "b"}}
    user = scenario.call("PATCH", "/v1/users/me", body, ada).json()
    assert (user["givenName"], user["timeZone"], user["metadata"]) == ("Ada", "Europe/Vienna", {"a": "b"})
    assert user["addresses"][0]["isDefault"] is True
    cleared = scenario.call("PATCH", f"/v1/users/{ada.user_id}?updateMask=addresses,metadata", {}, ada).json()
    assert (cleared["addresses"], cleared["metadata"], cleared["givenName"]) == ([], {}, "Ada")
    for given, reason, violations in BAD:
        refused = scenario.call("PATCH", "/v1/users/me", given, ada, expect=None)
        assert_refusal(refused, reason, violations=violations)
    assert scenario.call("GET", "/v1/users/me", account=ada).json() == cleared

    placed = scenario.place_order(ada, scenario.products()[0])
    scenario.wait_for_notification(ada, placed.order["orderId"])
    records, token = [], ""
    while True:
        page = scenario.call("GET", f"/v1/users/me:export?pageSize=3&pageToken={token}", account=ada).json()
        records += page["records"]
        token = page["nextPageToken"]
        if not token:
            break
    assert {"user", "sessions", "audit_event", "order", "notification"} <= {record["type"] for record in records}

    assert scenario.call("DELETE", "/v1/users/me", account=ada, expect=204).content == b""

    def refused() -> bool:
        return scenario.call("GET", "/v1/users/me", account=ada, expect=None).status_code in (401, 404)

    scenario.wait_for("the access token to be refused", refused)
    again = {"email": ada.email, "password": "the quiet morning of its owner", "displayName": "Ada"}
    scenario.call("POST", "/v1/auth:signUp", again, expect=202)
    assert scenario.wait_for("a code for the address, which is free", lambda: len(scenario.mails(ada.email)) > 1)
