"""The access log of an edge."""

import json
from pathlib import Path
from typing import Any

from tests.edge.conftest import Edge
from tests.edge.running import until


def log_of(edge: Edge, request_id: str) -> dict[str, Any]:
    """The line of a request, once it is written."""
    found: list[dict[str, Any]] = []

    def written() -> bool:
        assert edge.deployment.access_log
        whole, _, _ = (
            Path(edge.deployment.access_log).read_text().rpartition("\n")
        )  # Envoy may be writing the last line
        lines = map(json.loads, whole.splitlines())
        found.extend(line for line in lines if line["request_id"] == request_id)
        return bool(found)

    until(written, "the line is written")
    return found[0]
