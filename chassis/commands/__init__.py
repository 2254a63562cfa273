"""Commands of a service beside `serve`: `queues` and `seed`."""
