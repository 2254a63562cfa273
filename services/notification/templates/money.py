"""Amounts of money as people read them."""

from chassis.values.currencies import EXPONENTS

_SEPARATORS = {"en": (",", "."), "de": (".", ",")}
"""By language: the separators of thousands and of decimals."""


def format_amount(amount_minor: int, currency: str, locale: str) -> str:
    """`123456`, `EUR` → `1,234.56 EUR`, or `1.234,56 EUR` in German; `500`, `JPY` → `500 JPY`."""
    thousands, decimal = _SEPARATORS.get(locale.partition("-")[0].lower(), _SEPARATORS["en"])
    places = EXPONENTS.get(currency, 2)
    whole, fraction = divmod(abs(amount_minor), 10**places)
    text = f"{whole:,}".replace(",", thousands)
    if places:
        text += f"{decimal}{fraction:0{places}d}"
    return f"{'−' if amount_minor < 0 else ''}{text} {currency}"
