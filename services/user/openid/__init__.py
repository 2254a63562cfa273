"""OpenID Connect: discovery, userinfo and introspection."""
