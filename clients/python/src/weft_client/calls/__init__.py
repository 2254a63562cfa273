"""One call of either flavour: its arguments, attempts, retries, circuit breaker, spans and metrics; no input or output."""
