"""What the environment may ask for."""

from pathlib import Path

import pytest

from codegen.envoy import bounds
from deploy.local import options
from deploy.local.failures import MeshError


def test_an_empty_environment_means_one_of_each_on_8080():
    read = options.read({})

    assert (read.home, read.edge_port, read.replicas, read.edges) == (options.ROOT / ".weft", 8080, 1, 1)
    assert (read.database_url, read.redis_url, read.otlp_endpoint, read.trace_ratio) == ("", "", "", 1.0)
    assert read.issuer == "http://localhost:8080"


def test_everything_can_be_said():
    read = options.read(
        {
            "WEFT_HOME": "/tmp/a b",
            "WEFT_EDGE_PORT": "9000",
            "WEFT_REPLICAS": "3",
            "WEFT_EDGES": "2",
            "WEFT_TRACE_RATIO": "0.1",
        }
    )

    assert (read.home, read.edge_port, read.replicas, read.edges) == (Path("/tmp/a b"), 9000, 3, 2)
    assert (read.trace_ratio, read.issuer) == (0.1, "http://localhost:9000")
    assert options.read({"WEFT_ISSUER": "https://api.example/"}).issuer == "https://api.example"


def test_an_edge_refuses_as_many_as_it_would_by_itself():
    assert options.read({}).refusals == options.LEAST_REFUSALS == bounds.MAX_REFUSALS_PER_ADDRESS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEFT_EDGE_PORT", "eighty"),
        ("WEFT_EDGE_PORT", "70000"),
        ("WEFT_REPLICAS", "0"),
        ("WEFT_EDGES", "-1"),
        ("WEFT_TRACE_RATIO", "2"),
    ],
)
def test_an_invalid_value_is_refused_by_name(name, value):
    with pytest.raises(MeshError, match=rf"^{name} is '{value}': set it to a (whole )?number from "):
        options.read({name: value})
