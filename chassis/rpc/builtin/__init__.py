"""The gRPC services that every server has: health, reflection, queues."""
