"""What is asked of a request before its handler sees it: bounds, fields, masks."""
