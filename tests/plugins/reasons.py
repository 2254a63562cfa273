"""A pytest plugin: records every `(method, reason)` that any test provokes and holds them against the contract.

The audit trail reports its `(method, action)` in the same way; the service itself refuses undeclared ones.

Each reason that is raised has to be declared for its RPC (those of `weft.api.v1` are implied); after a full run that
passed, each reason that is declared has to have been provoked. Services in processes of their own append to the same
file, which they find in `WEFT_RECORD_REASONS`.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

import contract
from chassis import errors
from contract import Contract

VARIABLE = "WEFT_RECORD_REASONS"
Provoked = set[tuple[str, str]]
_found = pytest.StashKey[list[str]]()
_owned = pytest.StashKey[Path]()


def undeclared(read: Contract, provoked: Iterable[tuple[str, str]]) -> list[str]:
    """What was answered without being declared; methods that are not the contract's are tests' own."""
    methods = {method.full_name: method for method in read.methods}
    implied = {reason.name for reason in read.reasons.values() if reason.domain == "weft.api.v1"}
    return sorted(
        f"{name} answered {reason}, which its policy does not declare under `errors`"
        for name, reason in provoked
        if name in methods
        and reason not in implied | {own.name for own in methods[name].errors} | {*methods[name].audit}
    )


def unprovoked(read: Contract, provoked: Provoked) -> list[str]:
    """What is declared and was answered, or written to the audit trail, in no test."""
    return sorted(
        f"{method.full_name} declares {name}, which no test provokes"
        for method in read.methods
        for name in (*(reason.name for reason in method.errors), *method.audit)
        if (method.full_name, name) not in provoked
    )


def recorded(file: Path) -> Provoked:
    """The lines `method reason` of a file; one that a killed process left unfinished is passed over."""
    pairs = (line.split() for line in file.read_text().splitlines())
    return {(pair[0], pair[1]) for pair in pairs if len(pair) == 2}


def pytest_configure(config: pytest.Config) -> None:
    """Open the file, which workers and services inherit, and listen to the servers of this process."""
    if VARIABLE not in os.environ:
        handle, name = tempfile.mkstemp(prefix="weft-reasons-", suffix=".txt")
        os.close(handle)
        os.environ[VARIABLE] = name
        config.stash[_owned] = Path(name)
    file = Path(os.environ[VARIABLE]).open("a", buffering=1)  # noqa: SIM115  # open as long as the process
    config.add_cleanup(file.close)
    errors.observer = lambda method, reason: file.write(f"{method} {reason}\n") and None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Judge in the process that the others belong to, where everything has been written."""
    config = session.config
    if _owned not in config.stash or config.option.collectonly:
        return
    provoked = recorded(Path(os.environ[VARIABLE]))
    read = contract.load()
    found = undeclared(read, provoked)
    if exitstatus == 0 and _full(config):
        found += unprovoked(read, provoked)
    config.stash[_found] = found
    if found and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what does not agree."""
    found = config.stash.get(_found, [])
    if found:
        terminalreporter.section("error reasons and the contract disagree", red=True)
        for line in found:
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the file."""
    if _owned in config.stash:
        del os.environ[VARIABLE]
        config.stash[_owned].unlink()


def _full(config: pytest.Config) -> bool:
    """Whether everything ran that `make test` runs: no path, no -k, no last-failed."""
    option = config.option
    chosen = option.keyword or getattr(option, "lf", False) or config.args_source is pytest.Config.ArgsSource.ARGS
    return not chosen and option.markexpr in ("", "not soak")
