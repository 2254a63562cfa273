"""The people of partners: invited by mail, with a role."""
