"""The soft end of an edge: it says that it is not ready, asks its callers to leave, lets nobody in, and waits until they have left."""

import asyncio
import contextlib
import re
from pathlib import Path

POLL_S = 0.1
ADMIN_TIMEOUT_S = 2.0
GONE_AFTER = 3
"""Questions in a row that nobody takes: then the edge has ended."""
_STATS = "http.edge.downstream_(cx_active|rq_active|rq_total)"
_VALUE = re.compile(r"downstream_(\w+): (\d+)")


async def drain(admin: Path, seconds: float, *, notice_s: float = 0.0, idle_s: float = 5.0) -> None:
    """Drain the edge whose admin interface is at the socket `admin`; returns when it may end, after `seconds` at most.

    For `notice_s` it still lets callers in, so that balancers see first that `/ready` fails. Callers have left when no connection
    is open, or when on those that are no call is in progress and none has come for `idle_s`.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            # Not before an edge leaves: it brings all that writes configurations.
            from codegen.envoy.routes import LEAVING

            await _tell(admin, "/healthcheck/fail")  # every answer now says that its connection closes
            await _tell(admin, f"/runtime_modify?{LEAVING}=100")  # streams that begin now end soon
            await asyncio.sleep(notice_s)
            await _tell(admin, "/drain_listeners")
            await _until_empty(admin, idle_s)


async def _until_empty(admin: Path, idle_s: float) -> None:
    clock = asyncio.get_running_loop().time
    seen, since, gone = -1, clock(), 0
    while gone < GONE_AFTER:
        try:
            found, gone = await _ask(admin, "GET", f"/stats?filter={_STATS}"), 0
        except OSError:
            found, gone = None, gone + 1
        if found is not None:
            values = {name: int(value) for name, value in _VALUE.findall(found)}
            if values.get("rq_active") or values.get("rq_total", 0) != seen:
                seen, since = values.get("rq_total", 0), clock()
            if values.get("cx_active") == 0 or clock() - since >= idle_s:
                return
        await asyncio.sleep(POLL_S)


async def _tell(admin: Path, path: str) -> None:
    with contextlib.suppress(OSError):
        await _ask(admin, "POST", path)


async def _ask(admin: Path, method: str, path: str) -> str | None:
    """What the admin interface answers; None where it is too busy. Raises `OSError` where nobody is there."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    try:
        async with asyncio.timeout(ADMIN_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(admin)
            try:
                writer.write(head.encode())
                return (await reader.read()).decode()
            finally:
                writer.close()
    except TimeoutError:
        return None
