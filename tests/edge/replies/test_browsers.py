"""Browser callers: the allow-list of origins, and the headers that keep pages safe."""

import re

import pytest

from tests.edge import protocols
from tests.edge.conftest import Edge

PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, idempotency-key",
}


def test_a_listed_origin_may_call(edge: Edge) -> None:
    asked = edge.call("OPTIONS", "/v1/orders", token=None, headers={"origin": "https://shop.example", **PREFLIGHT})
    called = edge.call("GET", "/v1/orders", headers={"origin": "https://shop.example"})
    assert asked.status_code == 200
    assert "idempotency-key" in asked.headers["access-control-allow-headers"]
    assert called.headers["access-control-allow-origin"] == "https://shop.example"
    assert "x-request-id" in called.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in called.headers


def test_a_listed_origin_may_read_errors(edge: Edge) -> None:
    for path, token in (("/v1/orders", None), ("/v1/nothing", None), ("/v1/orders?x=1", edge.mint())):
        refused = edge.call("GET", path, token=token, headers={"origin": "https://shop.example"})
        assert refused.headers["access-control-allow-origin"] == "https://shop.example", path


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://shop.example.evil.example", "null", "http://shop.example"]
)
def test_another_origin_may_not(origin: str, edge: Edge) -> None:
    asked = edge.call("OPTIONS", "/v1/orders", token=None, headers={"origin": origin, **PREFLIGHT})
    called = edge.call("GET", "/v1/orders", headers={"origin": origin})
    assert asked.status_code == 204
    assert not [name for name in (*asked.headers, *called.headers) if name.startswith("access-control")]


@pytest.mark.parametrize("version", [1, 2])
def test_who_comes_to_the_front_is_told_where_to_go(version: int, edge: Edge) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = protocols.rest(edge.url, version, "GET", "/", browser, {})
    other = protocols.rest(edge.url, version, "GET", "/", {"accept": "*/*"}, {})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert re.findall(r'<a href="([^"]+)"', page.text) == [
        "/docs/getting-started.html",
        "/docs/",
        "/openapi.json",
        "/healthz",
    ]
    assert (other.status_code, other.headers["content-type"]) == (200, "application/json")
    assert {other.json()[name] for name in ("documentation", "health")} == {"/docs/", "/healthz"}
    assert (page.headers["vary"], other.headers["vary"]) == ("accept", "accept")
    for path, kind in (("/robots.txt", "text/plain; charset=utf-8"), ("/favicon.ico", "image/png")):
        found = protocols.rest(edge.url, version, "GET", path, {}, {})
        assert (found.status_code, found.headers["content-type"]) == (200, kind)
        assert found.headers["x-request-id"]
    assert protocols.rest(edge.url, version, "HEAD", "/", browser, {}).content == b""
    assert protocols.rest(edge.url, version, "POST", "/", {}, {"json": {}}).headers["allow"] == "GET, HEAD, OPTIONS"


def test_every_answer_bears_the_security_headers(edge: Edge) -> None:
    for path in ("/v1/orders", "/v1/nothing", "/healthz", "/docs/", "/openapi.json"):
        headers = edge.call("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("no-cache" if path in ("/docs/", "/openapi.json") else "no-store")
        assert "traceresponse" not in headers  # there is no trace to name
        assert "strict-transport-security" not in headers  # plain HTTP must not say it
