"""What became of a message is told by its provider, through the edge."""

import uuid

import pytest

from deploy.local.demo.scenario import Account, Scenario
from tests.edge.protocols import assert_refusal

pytestmark = pytest.mark.e2e


def test_the_sinks_say_through_the_edge_what_became_of_messages(scenario: Scenario) -> None:
    pair = scenario.call("POST", "/v1/auth:signIn", scenario.mesh["operator"]).json()
    operator, name = Account(pair["accessToken"]), uuid.uuid4().hex[:12]
    mails = [f"{kind}+{name}@example.com" for kind in ("delivered", "bounce", "complaint")]
    numbers = [f"+4366{uuid.uuid4().int % 10**8:08}", "+15005550031"]
    ends = {**dict(zip(mails, ["DELIVERED", "BOUNCED", "DELIVERED"], strict=True)), numbers[0]: "DELIVERED"}
    ends[numbers[1]] = "BOUNCED"

    def send(channel: str, recipients: list[dict[str, str]]) -> dict[str, str]:
        content = {"subject": "Your parcel", "text": "It waits."}
        body = {"recipients": recipients, "channels": [channel], "category": "CATEGORY_UPDATES", "content": content}
        sent = scenario.call("POST", "/v1/notifications", body, operator, key=str(uuid.uuid4()), expect=202).json()
        return {each["notificationId"]: next(iter(each["recipient"].values())) for each in sent["notifications"]}

    def state(notification_id: str) -> str:
        return scenario.call("GET", f"/v1/notifications/{notification_id}", account=operator, quiet=True).json()[
            "state"
        ]

    sent = send("CHANNEL_EMAIL", [{"email": each} for each in mails])
    sent |= send("CHANNEL_SMS", [{"phone": each} for each in numbers])
    expected = {id: f"NOTIFICATION_STATE_{ends[to]}" for id, to in sent.items()}
    scenario.wait_for("what became of all", lambda: {id: state(id) for id in sent} == expected)

    def suppressions(address: str) -> list[str]:
        query = f"/v1/suppressions?address={address.replace('+', '%2B')}"
        return [each["reason"] for each in scenario.call("GET", query, account=operator).json()["suppressions"]]

    found = [suppressions(each) for each in [*mails, *numbers]]
    assert found == [[], ["SUPPRESSION_REASON_HARD_BOUNCE"], ["SUPPRESSION_REASON_COMPLAINT"], [], []]
    forged = scenario.call("POST", "/v1/providers/sendgrid/events", {"event": "bounce"}, expect=None)
    assert_refusal(forged, "EVENT_SIGNATURE_INVALID")
