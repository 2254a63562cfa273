"""Serves peer (c): `python -m bench.peers.granian_msgspec host:port workers`."""

import sys

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops

if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    Granian(
        "bench.peers.granian_msgspec.app:create",
        factory=True,
        address=host,
        port=int(port),
        workers=int(sys.argv[2]),
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
    ).serve()
