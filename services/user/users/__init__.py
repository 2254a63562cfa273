"""UserService: users of all kinds, with their personal data encrypted."""
