"""What tests read of an edge: all that a connection gives, and its log."""

import socket


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    found = b""
    while chunk := connection.recv(65536):
        found += chunk
    return found
