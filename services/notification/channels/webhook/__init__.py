"""The webhook channel: requests to addresses that partners name."""
