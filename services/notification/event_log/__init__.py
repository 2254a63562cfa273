"""The event log: what happened to what is a partner's, for webhooks and for lists, 30 days long."""
