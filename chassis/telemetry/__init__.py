"""What is seen: traces, metrics, logs."""
