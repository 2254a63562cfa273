"""Messages about one-time codes: each case has its own, in each language, and the code is made when it is sent."""

import pytest

from chassis import ids
from tests.notification import sample_events as events
from tests.notification.conftest import Service

REQUEST = ids.new("cod")
ANN = ids.new("usr")


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize(
    ("event", "message", "subjects"),
    [
        (events.password_reset_requested, "CODE", ("Reset your password", "Setzen Sie Ihr Passwort zurück")),
        (
            events.password_reset_requested,
            "NO_ACCOUNT",
            ("There is no account with this address", "Mit dieser Adresse gibt es kein Konto"),
        ),
        (events.email_change_requested, "CODE", ("Confirm your new address", "Bestätigen Sie Ihre neue Adresse")),
        (
            events.email_change_requested,
            "ADDRESS_TAKEN",
            ("This address has an account already", "Diese Adresse hat bereits ein Konto"),
        ),
        (
            events.email_changed,
            "ADDRESS_CHANGED",
            ("Your account has another address now", "Ihr Konto hat jetzt eine andere Adresse"),
        ),
        (events.password_reset_requested, "ACCOUNT_CLOSED", ("Your account is closed", "Ihr Konto ist geschlossen")),
    ],
)
async def test_a_mail_says_what_became_of_the_request(
    service: Service, event, message: str, subjects: tuple[str, str], locale: str
) -> None:
    service.users.code_request(REQUEST, message, locale, email="ann@example.com")
    await service.publish(event(REQUEST))
    await service.wait_until_idle()
    (mail,) = service.receiver.mails
    assert (mail["To"], mail["Subject"]) == ("ann@example.com", subjects[locale == "de"])
    assert ("10000001" in service.receiver.text()) == (message == "CODE")
    assert await service.states() == [("SENT", "")]


async def test_a_mail_with_a_code_is_not_sent_to_the_former_address(service: Service) -> None:
    service.users.code_request(REQUEST, "ADDRESS_CHANGED", email="ann@example.com")
    await service.publish(events.email_change_requested(REQUEST))
    await service.wait_until_idle()
    assert (service.receiver.mails, await service.states()) == ([], [("SKIPPED", "REQUEST_ENDED")])


async def test_a_request_that_has_ended_is_skipped(service: Service) -> None:
    await service.publish(events.password_reset_requested(REQUEST))
    await service.wait_until_idle()
    assert (service.receiver.mails, await service.states()) == ([], [("SKIPPED", "REQUEST_ENDED")])


@pytest.mark.parametrize(("by_reset", "words"), [(True, "reset with a code"), (False, "was changed")])
async def test_a_new_password_is_told_to_its_owner(service: Service, by_reset: bool, words: str) -> None:
    service.users.add(ANN, "ann@example.com", display_name="Ann")
    await service.publish(events.password_changed(ANN, by_reset=by_reset))
    await service.wait_until_idle()
    assert service.receiver.mails[0]["Subject"] == "Your password was changed"
    assert words in service.receiver.text()
