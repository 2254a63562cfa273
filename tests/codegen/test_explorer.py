"""The explorer is whole in its folder."""

import re
from pathlib import Path

from codegen import explorer


def test_the_page_and_all_that_it_asks_for_lie_in_one_folder(tmp_path: Path) -> None:
    page = explorer.write(tmp_path / "docs").read_text()
    asked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert [name for name in asked if not name.startswith("/docs/") and name != "/openapi.json"] == []
    for name in asked:
        assert name == "/openapi.json" or (tmp_path / name.removeprefix("/")).stat().st_size > 0


def test_nothing_runs_in_the_page_itself_and_nothing_is_asked_of_another_host(tmp_path: Path) -> None:
    page = explorer.write(tmp_path).read_text()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    for name in ("index.html", "explorer.js"):
        assert "://" not in (tmp_path / name).read_text()
    assert "validatorUrl: null" in (tmp_path / "explorer.js").read_text()
    imported = re.findall(r"@import|url\((?!\"?data:|'?data:|#)", (tmp_path / "swagger-ui.css").read_text())
    assert imported == []


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    explorer.write(tmp_path)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    explorer.write(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first
