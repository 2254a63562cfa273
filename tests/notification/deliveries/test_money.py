"""Amounts as people read them."""

import pytest

from services.notification.templates import money


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        (123456, "EUR", "en", "1,234.56 EUR"),
        (123456, "EUR", "de-AT", "1.234,56 EUR"),
        (5, "EUR", "en", "0.05 EUR"),
        (0, "USD", "fr", "0.00 USD"),
        (1500, "JPY", "en", "1,500 JPY"),
        (1500, "KWD", "de", "1,500 KWD"),
        (12345, "CLF", "en", "1.2345 CLF"),
        (-250, "EUR", "en", "−2.50 EUR"),
        (10**12, "EUR", "en", "10,000,000,000.00 EUR"),
    ],
)
def test_an_amount_is_written_with_its_currencys_places_and_its_readers_marks(amount, currency, locale, text):
    assert money.format_amount(amount, currency, locale) == text
