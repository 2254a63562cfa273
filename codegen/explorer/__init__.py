"""The edge's own pages: the API explorer and the partners' guide behind `/docs/`, and the front page.

The explorer is Swagger UI from the `swagger-ui-py` wheel, and a page that reads `/openapi.json`. Nothing is loaded from
another host: everything that the pages need is in one folder, which the edge serves.
"""

import re
import shutil
from importlib import resources
from pathlib import Path

from markdown_it import MarkdownIt

from codegen.openapi.headers import IDEMPOTENCY_KEY

HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "docs" / "getting-started.md"
_OURS = ("index.html", "pages.css")
_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "LICENSE")


def write(folder: Path) -> Path:
    """Fill `folder`, creating it, with the explorer and the guide; returns the path of its `index.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ASSETS:
        _asset(name, folder / name)
    for name in _OURS:
        shutil.copyfile(HERE / name, folder / name)
    script = (HERE / "explorer.js").read_text()
    (folder / "explorer.js").write_text(script.replace("{{example key}}", IDEMPOTENCY_KEY["example"]))
    (folder / "getting-started.html").write_text(guide())
    return folder / "index.html"


def front(folder: Path) -> Path:
    """Fill `folder`, creating it, with what the edge serves at `/`, `/robots.txt` and `/favicon.ico`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("front.html", "front.json", "robots.txt"):
        shutil.copyfile(HERE / name, folder / name)
    _asset("favicon-32x32.png", folder / "favicon.ico")
    return folder


def guide() -> str:
    """The partners' guide as a page. What it says of other files of the repository keeps its words, without the link."""
    words = re.sub(r"\[([^]]+)\.md\]\([^)]+\.md\)|\[([^]]+)\]\([^)]+\.md\)", r"\1\2", GUIDE.read_text())
    made: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(words)
    return (HERE / "guide.html").read_text().replace("<!-- guide -->", made)


def _asset(name: str, target: Path) -> None:
    with resources.as_file(resources.files("swagger_ui") / "static" / name) as asset:
        shutil.copyfile(asset, target)
