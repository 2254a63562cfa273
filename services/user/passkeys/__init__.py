"""Passkeys: WebAuthn credentials that sign in without a password."""
