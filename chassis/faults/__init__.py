"""Failure switches: what can be made to go wrong on purpose, so that dashboards, alerts and people are tried before the night."""
