"""A new password in place of a forgotten or a known one."""
