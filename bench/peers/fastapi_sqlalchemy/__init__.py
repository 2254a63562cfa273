"""Peer (a): FastAPI, pydantic, SQLAlchemy's async ORM on asyncpg, PyJWT, stock OpenTelemetry, uvicorn."""
