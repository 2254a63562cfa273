"""The API explorer behind `/docs`: Swagger UI from the `swagger-ui-py` wheel, and a page that reads `/openapi.json`.

Nothing is loaded from another host: everything that the page needs lies in one folder, which the edge serves.
"""

import shutil
from importlib import resources
from pathlib import Path

_OURS = ("index.html", "explorer.js")
_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "LICENSE")


def write(folder: Path) -> Path:
    """Fill `folder`, creating it, with the explorer; returns the path of its `index.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ASSETS:
        with resources.as_file(resources.files("swagger_ui") / "static" / name) as asset:
            shutil.copyfile(asset, folder / name)
    for name in _OURS:
        shutil.copyfile(Path(__file__).parent / name, folder / name)
    return folder / "index.html"
