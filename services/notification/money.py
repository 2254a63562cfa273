"""Amounts of money as people read them."""

_PLACES = {
    0: {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"}
    | {"RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"},
    3: {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"},
    4: {"CLF", "UYW"},
}
"""Decimal places of the currencies that do not have two (ISO 4217, list one)."""

_EXPONENTS = {currency: places for places, currencies in _PLACES.items() for currency in currencies}

_MARKS = {"en": (",", "."), "de": (".", ",")}
"""By language: what parts thousands, and what parts the fraction."""


def written(amount_minor: int, currency: str, locale: str) -> str:
    """`123456`, `EUR` → `1,234.56 EUR`, or `1.234,56 EUR` in German; `500`, `JPY` → `500 JPY`."""
    thousands, point = _MARKS.get(locale.partition("-")[0].lower(), _MARKS["en"])
    places = _EXPONENTS.get(currency, 2)
    whole, fraction = divmod(abs(amount_minor), 10**places)
    text = f"{whole:,}".replace(",", thousands)
    if places:
        text += f"{point}{fraction:0{places}d}"
    return f"{'−' if amount_minor < 0 else ''}{text} {currency}"
