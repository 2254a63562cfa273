"""What every side starts with: the same catalogue and the same customers."""

from chassis import ids

PRODUCTS = 1000
CUSTOMERS = 20
"""Few, so that every process has looked them all up before the first round, and again after half a minute for little."""
STOCK = 1_000_000_000


def products(count: int = PRODUCTS) -> list[dict[str, object]]:
    """Rows of the peers' `products`."""
    return [
        {
            "product_id": ids.new("prd"),
            "title": f"Benchmark article {number}",
            "price_minor": 100 + number,
            "currency": "EUR",
            "stock": STOCK,
            "active": True,
        }
        for number in range(count)
    ]


def customers(partner_id: str, count: int = CUSTOMERS) -> list[dict[str, object]]:
    """Rows of the peers' `users`: customers of the partner."""
    return [
        {
            "user_id": ids.new("usr"),
            "email": f"customer{number}@example.com",
            "display_name": f"Customer {number}",
            "locale": "en",
            "state": "USER_STATE_ACTIVE",
            "partner_id": partner_id,
        }
        for number in range(count)
    ]
