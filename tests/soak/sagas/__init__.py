"""Payments under crashes: an order process that dies at each line, and shoppers whose money has to add up."""
