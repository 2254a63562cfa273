"""The daily comparison with the providers' books: differences are reported, and no sum of ours is set to theirs."""

from datetime import timedelta

import pytest

from chassis.clock import FixedClock
from chassis.storage.database import Query
from services.order.domain.payment import Payment
from services.order.payments.gateways.gateway import Charge, ChargeState, ListedCharge
from services.order.payments.gateways.stripe import Stripe
from services.order.reconciliation.differences import Books, Difference, compare
from services.order.reconciliation.repository import ReconciliationRepository
from tests.harness import Harness
from tests.order.payments.calls import advance, listed, reconciliation, refund, settle
from tests.order.payments.stripe_fake import KEY, StripeFake
from tests.order.payments.till import Till
from tests.order.shop import Shop

DAY = timedelta(days=1)


@pytest.fixture
async def till(harness: Harness, clock: FixedClock):
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


async def change(till: Till, sql: str) -> None:
    await till.shop.database.run(Query(sql))


@pytest.mark.logs_errors("payment_discrepancy")
async def test_differences_are_reported_once_a_day_and_resolved_when_they_are_gone(till: Till) -> None:
    ink = await till.shop.product()
    orders = [await till.shop.order((ink, 1)) for _ in range(3)]
    await till.shop.order((ink, 1), method="pm_sandbox_declined")
    await till.shop.order((ink, 1), method="pm_sandbox_action_required")
    await till.run()
    await refund(till, orders[0], 300)
    await settle(till)
    advance(till, timedelta(minutes=20))
    daily = reconciliation(till)
    assert (await daily.run(), await listed(till)) == (0, [])
    # Somebody refunds at the provider by hand; a charge there has no payment here.
    await change(till, "UPDATE sandbox_charges SET refunded_minor = refunded_minor + 50 WHERE refunded_minor = 300")
    await change(
        till,
        "INSERT INTO sandbox_charges (key, method, amount_minor, currency, state, reason, settles_at, created_at, captured_minor) "
        "SELECT 'pay_other/1', method, 70, currency, 'CAPTURED', '', settles_at, created_at, 70 "
        "FROM sandbox_charges LIMIT 1",
    )
    assert await daily.run() == 0, "compared today already"
    advance(till, DAY)
    assert await daily.run() == 2
    found = {(orders[0].payment_id, "REFUNDED", 300, 350), ("pay_other", "UNEXPECTED_CHARGE", 0, 70)}
    assert set(await listed(till)) == found
    await settle(till)
    assert (await till.shop.payment(orders[0].payment_id)).refunded_minor == 300, "reported, not mended"
    await change(till, "UPDATE sandbox_charges SET refunded_minor = 300 WHERE refunded_minor = 350")
    advance(till, DAY)
    assert await daily.run() == 1
    assert [kind for _, kind, *_ in await listed(till)] == ["UNEXPECTED_CHARGE"]
    assert set(await listed(till, resolved=True)) == found


@pytest.mark.logs_errors("payment_discrepancy")
async def test_a_charge_back_whose_event_was_lost_is_found(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    await till.run()
    await change(till, "UPDATE sandbox_charges SET charged_back_minor = 1000")
    advance(till, timedelta(minutes=20))
    assert await reconciliation(till).run() == 1
    await settle(till)
    assert (await till.shop.payment(placed.payment_id)).charged_back_minor == 1000


async def test_a_comparison_that_died_is_taken_over(till: Till) -> None:
    repository, now = ReconciliationRepository(till.shop.database), till.shop.app.clock.now()
    assert [await repository.claim("stripe", now.date(), now) for _ in range(2)] == [True, False]
    assert await repository.claim("stripe", now.date(), now + timedelta(minutes=61))
    await repository.finish("stripe", now.date(), now, 0, 0)
    assert not await repository.claim("stripe", now.date(), now + timedelta(hours=9))


async def test_stripe_lists_its_charges_in_pages(till: Till) -> None:
    async with StripeFake().serving() as fake:
        gateway = Stripe(KEY, fake.url, "https://shop.example/")
        payment = Payment("pay_1", "pm_card_ok", 1000, "EUR", attempt=2)
        charge = await gateway.authorize(payment)
        payment.reference = charge.reference
        await gateway.capture(payment, 600)
        now = till.shop.app.clock.now()
        (listed,) = [one async for one in gateway.list_charges(now - DAY, now)]
        await gateway.close()
    assert (listed.payment_id, listed.attempt, listed.currency) == ("pay_1", 2, "EUR")
    assert (listed.charge.state, listed.charge.captured_minor) == (ChargeState.CAPTURED, 600)


def test_what_differs() -> None:
    captured = Charge(ChargeState.CAPTURED, captured_minor=100, reference="pi_1")
    books = Books("pay_1", 2, "EUR", 100, 0, 0, 100)
    ours = ListedCharge("pay_1", 2, "EUR", captured)
    assert compare(books, [ours]) == []
    assert compare(books, []) == [Difference("pay_1", "CAPTURED", 100, 0, "EUR")]
    assert compare(books, [ours, ListedCharge("pay_1", 1, "EUR", captured)]) == [
        Difference("pay_1", "UNEXPECTED_CHARGE", 0, 100, "EUR", "pi_1")
    ]
    assert compare(books._replace(ledger_minor=99), [ours]) == [Difference("pay_1", "LEDGER", 100, 99, "EUR", "pi_1")]
    assert compare(books._replace(ledger_minor=None), [ours]) == []
