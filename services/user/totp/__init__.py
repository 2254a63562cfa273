"""The second factor of sign-in: one-time codes of an authenticator app, and recovery codes."""
