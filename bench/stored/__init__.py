"""Orders that are there already, for what is measured beside many of them."""
