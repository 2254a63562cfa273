"""Ports stay the same over restarts, and a taken one is said with its remedy."""

import errno
import os
import socket
from pathlib import Path

import pytest

from deploy.local.failures import MeshError
from deploy.local.state import ports
from deploy.local.state.ports import Ports


def test_a_part_keeps_its_port(tmp_path):
    first = Ports(tmp_path / "ports.json")
    taken = [first.take(name) for name in ("order", "user")]
    first.save()

    again = Ports(tmp_path / "ports.json")

    assert [again.take(name) for name in ("order", "user")] == taken
    assert len(set(taken)) == 2
    assert all(ports.LOWEST <= port < ports.HIGHEST for port in taken)


def test_a_port_that_someone_took_is_replaced(tmp_path):
    first = Ports(tmp_path / "ports.json")
    port = first.take("order")
    first.save()
    del first

    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert Ports(tmp_path / "ports.json").take("order") != port


def test_meshes_that_start_at_once_have_different_ports_and_their_parts_listen_there(tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "HIGHEST", ports.LOWEST + 400)
    meshes = [Ports(tmp_path / f"{number}.json") for number in range(2)]

    taken = [mesh.take(f"part {number}", wish=ports.LOWEST) for number in range(60) for mesh in meshes]

    assert len(set(taken)) == 120
    for port in taken[:5]:
        with socket.create_server(("127.0.0.1", port)) as part, socket.create_connection(("127.0.0.1", port)):
            part.accept()[0].close()


def test_a_taken_edge_port_is_said_with_the_remedy():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(MeshError) as caught:
            ports.claim(port)

    remedy = f"stop that, or choose another, such as WEFT_EDGE_PORT={port + 1}."
    who = f"{Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"
    assert str(caught.value) == f"Port {port} is taken by {who}: {remedy}"


def test_a_privileged_port_is_said_with_the_remedy(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)

    with pytest.raises(MeshError) as caught:
        ports.claim(80)

    assert (
        str(caught.value)
        == "Port 80 needs a permission that you lack: choose one above 1023, such as WEFT_EDGE_PORT=8080."
    )
