"""DeleteUser and ExportUserData: what is held of a person, in all services."""
