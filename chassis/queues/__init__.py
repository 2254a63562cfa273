"""Work that outlives a call: queues, workers, the outbox, deduplication."""
