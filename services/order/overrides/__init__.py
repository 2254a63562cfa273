"""Orders that operators put right by hand."""
