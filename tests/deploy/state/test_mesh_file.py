"""The mesh file has its keys, and only its owner reads it."""

import json
from pathlib import Path

from deploy.local import options
from deploy.local.state import credentials
from deploy.local.state.certificate_files import CertificateFiles
from deploy.local.state.endpoints import Edge, Endpoints
from deploy.local.state.mesh_file import MeshFile


def test_the_mesh_file_says_where_everything_is(home):
    secrets = credentials.load(home.folder / "secrets.json", ("order", "user"))
    endpoints = Endpoints(
        redis_url="", otlp_endpoint="", smtp_url="", sms_url="http://AC1:word@127.0.0.1:5", push_url="http://weft:word@127.0.0.1:6",
        webhook_url="http://weft:word@127.0.0.1:7",
        addresses={"order": ("127.0.0.1:1", "127.0.0.1:2")}, metrics={"order": ("127.0.0.1:3", "127.0.0.1:4")},
    )  # fmt: skip
    edges = [Edge(n, 8080 + n, 8443 + n, 9000 + n, 9100 + n, Path("access.log"), Path("admin.sock")) for n in (1, 2)]
    file = MeshFile(
        home,
        options.read({"WEFT_TRACE_RATIO": "0.5"}),
        edges,
        endpoints,
        secrets,
        CertificateFiles(home.certificates),
    )

    file.write({"mesh": [1], "valkey": [2], "order": [3, 4], "envoy": [5, 6], "mail": [7]})

    assert home.mesh_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(home.mesh_file.read_text()) == {
        "edge": "http://localhost:8081",
        "edge_tls": "https://localhost:8444",
        "edges": ["http://localhost:8081", "http://localhost:8082"],
        "edges_tls": ["https://localhost:8444", "https://localhost:8445"],
        "ca": str(home.certificates / "ca.crt"),
        "mail": str(home.mail),
        "push": {"folder": str(home.push), "page": "http://weft:word@127.0.0.1:6"},
        "webhooks": {"folder": str(home.webhooks), "page": "http://weft:word@127.0.0.1:7"},
        "sms": {"folder": str(home.sms), "page": "http://AC1:word@127.0.0.1:5"},
        "traces": str(home.traces),
        "trace_ratio": 0.5,
        "operator": {"email": secrets.operator_email, "password": secrets.operator_password},
        "partner": {"client_id": secrets.partner_client_id, "client_secret": secrets.partner_client_secret},
        "services": {"order": ["127.0.0.1:1", "127.0.0.1:2"]},
        "internal": {"cert": str(home.certificates / "internal.crt"), "key": str(home.certificates / "internal.key")},
        "metrics": {
            "order": ["http://127.0.0.1:3/metrics", "http://127.0.0.1:4/metrics"],
            "envoy": ["http://127.0.0.1:9001/stats/prometheus", "http://127.0.0.1:9002/stats/prometheus"],
        },
        "pids": {
            "mesh": 1, "postgres": None, "valkey": 2, "mail": 7, "sinks": None, "traces": None, "order": [3, 4], "envoy": [5, 6],
        },
    }  # fmt: skip

    file.remove()
    assert not home.mesh_file.exists()
