"""Another e-mail address for a user, proved by a code that is mailed to it."""
