"""Weft for Python: typed calls that retry, resume and explain themselves.

    async with weft_client.AsyncWeft("localhost:8443", auth=ClientCredentials(id, secret)) as weft:
        order = await weft.orders.create_order(lines=[{"product_id": "prd_…", "quantity": 1}], payment_method="pm_…")

`AsyncWeft` is for asyncio, `Weft` blocks; their calls are the same. See docs/clients.md.
"""

from weft_client import errors, types
from weft_client.calls.retries import Retries
from weft_client.credentials import Bearer, ClientCredentials, Password
from weft_client.generated.aio.weft import AsyncWeft
from weft_client.generated.blocking.weft import Weft
from weft_client.tls import MutualTls, Plaintext, Tls

__all__ = [
    "AsyncWeft",
    "Bearer",
    "ClientCredentials",
    "MutualTls",
    "Password",
    "Plaintext",
    "Retries",
    "Tls",
    "Weft",
    "errors",
    "types",
]
