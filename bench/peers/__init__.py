"""What a team would write instead of Weft: the same semantics, written fairly, to measure against."""
