"""Bytes that no gRPC client sends: they are refused, and the service logs no error."""

import asyncio
import subprocess
import sys

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded, StreamReset

from deploy.local.options import ROOT
from tests.chassis.probe.service import Items, serving
from tests.harness import Harness

EMPTY = b"\0\0\0\0\0"
MALFORMED = {
    "value": ([(b"x-foo", b"\xd7\xf8\x9b")], EMPTY),
    "known header": ([(b"x-request-id", b"\xff\xfe")], EMPTY),
    "token": ([(b"authorization", b"Bearer \xff.\xff.\xff")], EMPTY),
    "name": ([(b"x-\xff", b"a")], EMPTY),
    "base 64": ([(b"x-foo-bin", b"!!!")], EMPTY),
    "time": ([(b"grpc-timeout", b"soon")], EMPTY),
    "message": ([], b"\0\0\0\0\3\xff\xff\xff"),
    "compression": ([(b"grpc-encoding", b"unknown")], b"\1\0\0\0\3abc"),
}


async def send(address: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """One call of PeekItem, until the server has ended it."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    h2 = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
    h2.initiate_connection()
    path = b"/weft.lab.v1.ItemService/PeekItem"
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"probe")]
    h2.send_headers(1, [*head, (b"te", b"trailers"), (b"content-type", b"application/grpc"), *headers])
    h2.send_data(1, body, end_stream=True)
    writer.write(h2.data_to_send())
    async with asyncio.timeout(30):
        while data := await reader.read(65536):
            events = h2.receive_data(data)
            writer.write(h2.data_to_send())
            if any(isinstance(event, StreamEnded | StreamReset) for event in events):
                break
    writer.close()


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
async def test_no_malformed_request_logs_an_error(
    harness: Harness, malformed: tuple[list[tuple[bytes, bytes]], bytes]
) -> None:
    # Judged by the plugin, as in every test: an error that was logged fails it.
    async with serving(harness, Items(), tls="off") as running:
        await send(running.address, *malformed)


def test_a_process_of_ours_writes_nothing_but_json() -> None:
    program = (
        "import sys; from chassis.telemetry import logs; from chassis import process; sys.argv = ['order', 'unknown'];\n"
        "import os; from pathlib import Path; from sqlalchemy import MetaData\n"
        "try: process.main('order', None, metadata=MetaData(), migrations=Path())\n"
        "except SystemExit: pass\n"
        "assert os.environ['GRPC_VERBOSITY'] == 'NONE'\n"
        "logs.configure('order', 'info', sys.stderr); raise ZeroDivisionError('at the end')\n"
    )
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen/python'}:{ROOT / 'clients/python/src'}"}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert [line[0] + line[-1] for line in ran.stderr.splitlines()] == ["{}"], ran.stderr
    assert "ZeroDivisionError" in ran.stderr
