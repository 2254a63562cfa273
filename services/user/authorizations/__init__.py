"""People who let a partner's app act for them: the authorization endpoint, codes with PKCE, and consents."""
