"""OAuthService: the OAuth 2.0 token, revocation, key set and metadata endpoints."""
