"""A mesh on parts of the operator's own: a PostgreSQL server, a Valkey server and a trace collector by their addresses."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from deploy.local.demo.scenario import Scenario
from tests.mesh import Mesh
from tests.servers import wait_until

pytestmark = pytest.mark.e2e
EMBEDDED = ("postgres", "valkey", "traces")


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """The services whose spans came, by trace id."""

    def __init__(self) -> None:
        self.services: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def Export(self, request, context):
        with self._lock:
            for group in request.resource_spans:
                names = {pair.key: pair.value.string_value for pair in group.resource.attributes}
                for span in (span for scope in group.scope_spans for span in scope.spans):
                    self.services.setdefault(span.trace_id.hex(), set()).add(names["service.name"])
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[str, Collector]]:
    """An OTLP collector: its URL, and what it was sent."""
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(found, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", found
    server.stop(0)


@pytest.fixture(scope="module")
def mesh(folder: Path, postgres_url: str, valkey_url: str, collector: tuple[str, Collector]) -> Iterator[Mesh]:
    """A mesh that embeds none of the three."""
    given = {"WEFT_DATABASE_URL": postgres_url, "WEFT_REDIS_URL": valkey_url, "WEFT_OTLP_ENDPOINT": collector[0]}
    started = Mesh(folder / "own parts" / "home", given).start()
    yield started
    started.stop()


def test_an_order_goes_from_rest_to_a_delivered_mail(mesh, postgres_url, collector):
    pids = mesh.content["pids"]
    assert {part: pids[part] for part in EMBEDDED} == dict.fromkeys(EMBEDDED)
    scenario = Scenario(mesh.content)
    customer = scenario.sign_up()

    placed = scenario.place_order(customer, scenario.products()[-1])

    order_id = placed.order["orderId"]
    scenario.wait_until_paid(customer, order_id)
    scenario.wait_for_confirmation(customer.email, order_id)
    scenario.close()
    with psycopg.connect(postgres_url, dbname="weft_order") as connection:
        assert connection.execute("SELECT state FROM orders WHERE order_id = %s", [order_id]).fetchone() == (
            "CONFIRMED",
        )
    everyone = {"edge", "order", "user", "notification"}
    wait_until(lambda: collector[1].services.get(placed.trace_id) == everyone, "the order's spans from all")


def test_the_demo_says_that_traces_are_elsewhere(mesh):
    done = mesh.command("demo")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Spans go to WEFT_OTLP_ENDPOINT: look there for trace " in done.stdout
    assert mesh.content["traces"] is None
