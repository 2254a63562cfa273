"""The rules of partners and clients."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import EtagMismatch
from services.user.partners.domain import (
    ACTIVE,
    SUSPENDED,
    Partner,
    PartnerAlreadySuspended,
    PartnerNotSuspended,
    ScopeNotGranted,
    minute,
    unknown_scopes,
)

NOW = datetime(2026, 11, 24, 12, 30, 40, 123, tzinfo=UTC)
DAY = timedelta(days=1)
PARTNER = Partner("prt_1", "Acme", "free", ("a.read", "b.read"), ACTIVE, NOW, NOW)


def test_a_partner_moves_between_its_states_and_nowhere_else() -> None:
    suspended = PARTNER.suspend(NOW + DAY)
    assert suspended == replace(PARTNER, state=SUSPENDED, updated_at=NOW + DAY, revision=2)
    assert suspended.reinstate(NOW + DAY).state == ACTIVE
    with pytest.raises(PartnerAlreadySuspended):
        suspended.suspend(NOW)
    with pytest.raises(PartnerNotSuspended):
        PARTNER.reinstate(NOW)


def test_a_partner_changes_its_etag_with_every_change_and_only_then() -> None:
    changed = PARTNER.update(NOW + DAY, "", {"plan": "premium"})
    assert (changed.plan, changed.etag, changed.updated_at) == ("premium", "2", NOW + DAY)
    assert PARTNER.update(NOW + DAY, "1", {"plan": "free"}) is PARTNER
    with pytest.raises(EtagMismatch) as stale:
        changed.update(NOW, "1", {})
    assert stale.value.metadata == {"etag": "2"}


def test_a_partner_grants_the_scopes_that_it_has() -> None:
    PARTNER.require(["a.read"])
    with pytest.raises(ScopeNotGranted) as missing:
        PARTNER.require(["c.read", "a.read", "b.write"])
    assert missing.value.metadata == {"scopes": "b.write c.read"}


def test_unknown_scopes_are_named_by_index() -> None:
    assert unknown_scopes(["a.read", "x", "b.read", "y"], {"a.read", "b.read"}) == [(1, "x"), (3, "y")]


def test_a_last_use_is_truncated_to_the_minute() -> None:
    assert minute(NOW) == datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
