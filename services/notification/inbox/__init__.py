"""The inbox: notifications that their user reads."""
