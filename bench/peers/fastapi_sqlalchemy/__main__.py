"""Serves peer (a): `python -m bench.peers.fastapi_sqlalchemy host:port workers`."""

import sys

import uvicorn

if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    uvicorn.run(
        "bench.peers.fastapi_sqlalchemy.app:create",
        factory=True,
        host=host,
        port=int(port),
        workers=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="info",
    )
