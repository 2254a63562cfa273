"""HTTP/2 by hand: requests whose bodies do not end, and what is said to them nevertheless."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamReset


class RawConnection:
    """One HTTP/2 connection from an address of this machine. `statuses` has what each stream was answered so far."""

    def __init__(self, target: str, address: str) -> None:
        host, port = target.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20, source_address=(address, 0))
        self._state = H2Connection()
        self._state.initiate_connection()
        self.statuses: dict[int, str] = {}
        self.closed = False
        self._flush()

    def begin(self, path: str, token: str = "", announced: int = 0, sent: bytes = b"{") -> None:
        """Send the headers of a POST and the beginning of its body."""
        headers = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", path)]
        headers.append(("content-type", "application/json"))
        if token:
            headers.append(("authorization", f"Bearer {token}"))
        if announced:
            headers.append(("content-length", str(announced)))
        stream = self._state.get_next_available_stream_id()
        self._state.send_headers(stream, headers)
        self._state.send_data(stream, sent)
        self._flush()

    def ask(self, path: str, token: str, **more: str) -> None:
        """Send a GET."""
        headers = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", path)]
        stream = self._state.get_next_available_stream_id()
        self._state.send_headers(
            stream, [*headers, ("authorization", f"Bearer {token}"), *more.items()], end_stream=True
        )
        self._flush()

    def listen(self, seconds: float = 0.05) -> None:
        """Take in what has been said, until nothing comes for `seconds`."""
        self._socket.settimeout(seconds)
        try:
            while not self.closed:
                data = self._socket.recv(65536)
                self.closed = not data
                for event in self._state.receive_data(data) if data else ():
                    if isinstance(event, ResponseReceived):
                        self.statuses[event.stream_id or 0] = dict(event.headers or [])[b":status"].decode()
                    elif isinstance(event, StreamReset):
                        self.statuses.setdefault(event.stream_id or 0, "reset")
        except TimeoutError:
            pass
        except ConnectionError:
            self.closed = True
        if not self.closed:
            self._flush()

    def close(self) -> None:
        """Hang up in the middle of everything."""
        self._socket.close()

    def _flush(self) -> None:
        self._socket.settimeout(20)
        self._socket.sendall(self._state.data_to_send())


@contextmanager
def raw_connections(target: str, address: str, count: int) -> Iterator[list[RawConnection]]:
    """`count` connections, closed at the end."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(RawConnection(target, address))) for _ in range(count)]
