"""The changes of an order, for those who ask what happened to it."""
