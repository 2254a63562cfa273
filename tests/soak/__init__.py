"""Tests that take long or judge time: limits, overload, restarts, attacks. `make soak` runs them."""
