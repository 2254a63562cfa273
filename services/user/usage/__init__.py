"""How many calls partners' clients make."""
