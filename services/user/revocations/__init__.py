"""RevocationService: which access tokens were revoked."""
