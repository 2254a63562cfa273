"""The parts of a local mesh."""
