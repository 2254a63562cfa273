"""The rules of orders, payments, products and prices; no database, no network."""
