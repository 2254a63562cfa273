"""The plugin that shows what was logged, in a run of its own."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.options import ROOT
from tests.plugins.logged import errors_of

REQUEST = "0123456789abcdef0123456789abcdef"
TESTS = f'''
import logging

import pytest
import structlog

log = structlog.get_logger(part="test")


def test_fails():
    log.info("of_the_request", request_id="{REQUEST}", trace_id="t1")
    log.info("of_its_trace", trace_id="t1")
    for n in range(40):
        log.info("noise", n=n)
    assert not "[INTERNAL, request {REQUEST}]"


def test_logs_an_error():
    log.error("something_broke")


def test_has_a_library_that_logs_an_error():
    logging.getLogger("grpc").error("of the library")


@pytest.mark.logs_errors("announced")
def test_announces_its_error():
    log.error("announced")


def test_is_well():
    log.warning("only_a_warning")
'''


def test_errors_that_nobody_announced_fail_and_failures_show_what_was_logged(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "tests.mesh", "-p", "tests.plugins.logged", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen/python'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = ran.stdout
    assert "1 failed, 4 passed, 2 errors" in said, said
    for name in ("FAILED test_inner.py::test_fails", "ERROR test_inner.py::test_logs_an_error", "of the library"):
        assert name in said
    shown = said.partition("what was logged during the test")[2].partition("test_logs_an_error")[0]
    assert "of_the_request" in shown  # though it was logged long before
    assert "of_its_trace" in shown
    assert shown.count('"noise"') == 25


def test_what_a_mesh_logged_as_an_error_is_found_in_the_logs_of_its_services(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "order-1.log").write_text(
        '{"level": "info", "event": "x"}\nno json\n{"level": "error", "event": "call_failed"}\n'
    )
    (logs / "mail.log").write_text('{"level": "error"}\n')
    assert errors_of(tmp_path) == ['{"level": "error", "event": "call_failed"}']
