"""The load generator: a process of its own, closed loop or open loop, over HTTP/1.1 or gRPC."""
