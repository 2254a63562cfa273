"""Tests of load: limits, attacks, and more calls than the mesh has time for."""
