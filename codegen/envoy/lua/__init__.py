"""What the edge runs in Lua: strict JSON from tables of the contract, and time-slicing."""
