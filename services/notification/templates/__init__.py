"""Templates and their rendering."""
