"""Events: received once from the outboxes of other services, then given to observers."""
