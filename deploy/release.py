"""`python -m deploy.release OVERLAY REGISTRY SERVICES_DIGEST EDGE_DIGEST`: writes a release into an overlay of `deploy/k8s`.

The same digests go through development, staging and production; nothing is built in between.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.checks import manifests

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ID_DIGITS = 12
"""Of the digest of the services, which name the Jobs of a release."""


def write(file: Path, registry: str, digests: dict[str, str], source: str) -> None:
    """Name the images, `services` and `edge`, by digest in a kustomization, and the source of its manifests. Raises `ValueError` where it has no such image."""
    text = file.read_text()
    for name, digest in digests.items():
        line = f'{{name: weft/{name}, newName: {registry}/weft/{name}, digest: "{digest}"}}'
        text, count = re.subn(rf"\{{name: weft/{name}, .*\}}", line, text)
        if count != 1:
            raise ValueError(f"{file} names the image weft/{name} {count} times")
    release = digests["services"].removeprefix("sha256:")[:ID_DIGITS]
    text, count = re.subn(r"literals: \[id=\w+, source=[^\]]+\]", f"literals: [id={release}, source={source}]", text)
    if count != 1:
        raise ValueError(f"{file} names the release {count} times")
    file.write_text(text)


def described() -> str:
    """The tag or commit of the manifests, as the cluster is to know it; `unknown` outside a checkout."""
    command = ["git", "-C", str(manifests.FOLDER), "describe", "--tags", "--always"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def placeholders(overlay: Path) -> list[str]:
    """Names under `.example` that an overlay of a real environment still has, each with its object: nobody owns them."""
    return sorted(
        {
            f"{one['kind']} {one['metadata']['name']}: {name}"
            for one in manifests.of_overlay(overlay)
            for name in re.findall(r"[\w.-]+\.example\b", json.dumps(one))
        }
    )


def main(arguments: Sequence[str]) -> int:
    """Exit 2 where an argument is wrong, 1 where the overlay is not one's own yet: then nothing is written."""
    match arguments:
        case [overlay, registry, services, edge] if DIGEST.fullmatch(services) and DIGEST.fullmatch(edge):
            file = manifests.FOLDER / "overlays" / overlay / "kustomization.yaml"
            if file.exists():
                left = placeholders(file.parent) if overlay != "development" else []
                if left:
                    print(f"{file.parent} has placeholders ({'; '.join(left)}): name your own.", file=sys.stderr)
                    return 1
                write(file, registry, {"services": services, "edge": edge}, described())
                print(
                    f"{overlay} has {services} and {edge}; next: kubectl apply --server-side --kustomize {file.parent}"
                )
                return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
