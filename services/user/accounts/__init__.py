"""Pending sign-ups, their verification codes, and the accounts that they become."""
