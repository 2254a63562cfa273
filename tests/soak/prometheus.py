"""A real Prometheus for tests: Debian's, with our rules."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from deploy.local.options import ROOT
from tests.servers import free_ports

RULES = ROOT / "deploy" / "observability" / "rules.yaml"


class Prometheus:
    """Debian's, which scrapes a mesh every five seconds."""

    def __init__(self, folder: Path, mesh: dict[str, Any], *more_rules: Path) -> None:
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        metrics = {
            name: [url.split("/")[2] for url in urls] for name, urls in mesh["metrics"].items() if name != "envoy"
        }
        edges = [url.split("/")[2] for url in mesh["metrics"]["envoy"]]
        weft = [{"targets": targets, "labels": {"service": name}} for name, targets in metrics.items()]
        config = {
            "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
            "rule_files": [str(RULES), *map(str, more_rules)],
            "scrape_configs": [
                {"job_name": "weft", "static_configs": weft},
                {
                    "job_name": "weft-edge",
                    "metrics_path": "/stats/prometheus",
                    "static_configs": [{"targets": edges, "labels": {"service": "edge"}}],
                },
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        program = shutil.which("prometheus")
        assert program, "install Debian's prometheus"
        self.process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
                "--enable-feature=exemplar-storage",
            ]
        )

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer of the API."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=20)
