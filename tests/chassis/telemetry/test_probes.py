"""The plaintext port says what the process says of itself."""

import httpx
import pytest

from chassis.telemetry import probes
from chassis.telemetry.probes import MAX_LOOP_SILENCE_S, Probes


class Port:
    """A port, and the clock of what it tells."""

    def __init__(self) -> None:
        self.now = 0.0
        self.probes = Probes(lambda: self.now)
        self._url = f"http://127.0.0.1:{probes.serve('127.0.0.1:0', self.probes)}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self._url + path, trust_env=False)


@pytest.fixture(scope="module")
def port() -> Port:
    return Port()


def test_ready_is_what_health_says(port: Port) -> None:
    assert port.get("/readyz").status_code == 503
    port.probes.ready = True
    assert (port.get("/readyz").status_code, port.get("/readyz").text) == (200, "ok\n")


def test_a_loop_that_no_longer_turns_is_dead_until_it_turns_again(port: Port) -> None:
    port.now += MAX_LOOP_SILENCE_S - 1
    assert port.get("/livez").status_code == 200
    port.now += 1
    assert port.get("/livez").status_code == 503
    port.probes.turned()
    assert port.get("/livez").status_code == 200


def test_metrics_are_in_the_format_that_is_asked_for(port: Port) -> None:
    assert "# TYPE weft_event_loop_lag_seconds histogram" in port.get("/metrics").text
    assert port.get("/").status_code == 404
