"""Alerts that fire: failure switches of a mesh, a real Prometheus, and callers."""
