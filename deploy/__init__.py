"""Ways to run Weft."""
