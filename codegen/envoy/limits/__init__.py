"""What callers may use: calls a second by client, connections and bytes by address."""
