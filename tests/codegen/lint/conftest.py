"""Modules of a service that exists for one test."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from codegen.lint import source
from codegen.lint.source import Module

Modules = dict[str, Module]


@pytest.fixture
def modules(tmp_path: Path) -> Callable[[Mapping[str, str]], Modules]:
    """`modules({"shop/handlers.py": text})`: the services of a tree with these files."""

    def read(files: Mapping[str, str]) -> Modules:
        for name, text in files.items():
            file = tmp_path / "services" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return source.read(tmp_path / "services")

    return read
