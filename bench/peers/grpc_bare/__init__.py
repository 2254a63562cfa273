"""Peer (b): grpc.aio's bare server with the stock OpenTelemetry interceptors, SQLAlchemy's async ORM, PyJWT."""
