"""Logs: bounded, prefixed, and never blocking."""

import os
import subprocess
import sys

from deploy.local.options import ROOT
from deploy.local.supervisor import journal as journals
from deploy.local.supervisor.journal import Journal, Terminal


def test_lines_are_prefixed_on_the_terminal_and_plain_in_the_files(tmp_path, capfd):
    terminal = Terminal()
    journal = Journal(tmp_path, terminal)

    journal.log("order-1").write("one\n\ntwo")
    journal.announce("ready http://localhost:8080")
    terminal.close()

    shown = "order-1         | one\norder-1         | two\nready http://localhost:8080\n"
    assert capfd.readouterr().out == shown
    assert (tmp_path / "order-1.log").read_text() == "one\n\ntwo\n"
    assert journal.log("order-1").last == "two"


def test_files_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "MAX_LOG_BYTES", 1000)
    terminal = Terminal()
    log = Journal(tmp_path, terminal).log("part")

    for number in range(200):
        log.write(f"{number:099d}")
    terminal.close()

    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert set(sizes) == {"part.log", "part.log.1"}
    assert max(sizes.values()) <= 1100
    assert (tmp_path / "part.log").read_text().splitlines()[-1] == f"{199:099d}"


def test_a_reader_that_stops_reading_blocks_nothing():
    # A pipe holds 64 kB: the rest of a million lines must not wait for room in it.
    script = (
        "from deploy.local.supervisor.journal import Terminal\n"
        "terminal = Terminal()\n"
        "for number in range(1_000_000):\n    terminal.show('a line')\n"
        "import sys; print('through', file=sys.stderr)\n"
    )
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stderr.readline() == "through\n"
        assert child.wait(30) == 0
    os.close(reading)
    os.close(writing)
