"""The user service: users, sign-in, OAuth 2.0 for partners' clients, and partners."""
