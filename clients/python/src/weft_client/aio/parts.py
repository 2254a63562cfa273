"""What generated services are made of, behind one name, so that no service's name can collide with it."""

from weft_client.aio.connection import AsyncConnection
from weft_client.aio.pages import AsyncPages
from weft_client.aio.streams import AsyncStream, AsyncStreaming
from weft_client.aio.unary import AsyncAuth, AsyncUnary

__all__ = ["AsyncAuth", "AsyncConnection", "AsyncPages", "AsyncStream", "AsyncStreaming", "AsyncUnary"]
