"""A million orders: what a page of a list costs, and what an export holds."""
