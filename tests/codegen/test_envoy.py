"""The edge's configuration is derived: from the contract alone, wholly, and as Envoy accepts it."""

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import contract as contracts
from codegen import envoy, explorer
from codegen.envoy import local_replies
from codegen.envoy.bootstrap import sample
from codegen.envoy.lua import strict_json
from codegen.envoy.typed import Json
from contract import Caller, Contract, Method, RateClass, sizes
from deploy.local.state.certificates import Certificates
from tests.codegen.edges import CONTRACT, built, manager

ROOT = Path(__file__).resolve().parents[2]


class Changed(Contract):
    """A contract of which some methods say something else."""

    def __init__(self, **changes: dict[str, Any]) -> None:
        self.__dict__.update(CONTRACT.__dict__)
        self.methods = tuple(dataclasses.replace(m, **changes.get(m.name, {})) for m in CONTRACT.methods)
        self.by_path = {method.path: method for method in self.methods}


def filter_of(config: Json, name: str, listener: str = "http") -> Json:
    """The configuration of an HTTP filter."""
    found: Json = next(f for f in manager(config, listener)["http_filters"] if f["name"].endswith(name))["typed_config"]
    return found


def listed(matched: Json) -> list[Json]:
    """The routes of one outcome of the look-up by RPC."""
    found: list[Json] = matched["action"]["typed_config"]["routes"]
    return found


def by_rpc(config: Json, listener: str = "http") -> dict[str, list[Json]]:
    """The routes of the public host by the RPC that a request asks for, in their order."""
    (host,) = manager(config, listener)["route_config"]["virtual_hosts"]
    tree = host["matcher"]["matcher_tree"]
    assert tree["input"]["typed_config"]["header_name"] == "x-weft-rpc"
    return {rpc: listed(found) for rpc, found in tree["exact_match_map"]["map"].items()}


def unknown(config: Json) -> Json:
    """Where a request leads that asks for no RPC, or for one by a path that is not its own."""
    return listed(manager(config)["route_config"]["virtual_hosts"][0]["matcher"]["on_no_match"])[-1]


def routes(config: Json, listener: str = "http") -> dict[str, Json]:
    """Routes to services by gRPC path."""
    if listener == "jwks":
        each = manager(config, listener)["route_config"]["virtual_hosts"][0]["routes"]
    else:
        each = [route for found in by_rpc(config, listener).values() for route in found]
    return {r["match"]["path"]: r for r in each if "grpc" in r["match"]}


def test_the_golden_files_are_what_the_contract_says(tmp_path: Path) -> None:
    (tmp_path / "deploy" / "envoy").mkdir(parents=True)
    envoy.generate(CONTRACT, tmp_path)
    for name in ("edge.golden.json", "edge.golden.lua"):
        fresh, kept = ((root / "deploy" / "envoy" / name).read_text() for root in (tmp_path, ROOT))
        assert fresh == kept, f"{name} is out of date: run `make gen`"


@pytest.mark.parametrize("edges", [1, 2])
def test_envoy_accepts_it(edges: int, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for file in ("docs/index.html", "docs/app.js", "openapi.json"):
        (tmp_path / file).write_text("{}")
    (tmp_path / "certs").mkdir()
    names = [package.split(".")[1] for package in CONTRACT.packages]
    certificates = Certificates(tmp_path / "certs", names)
    certificates.ensure()
    deployment = dataclasses.replace(
        sample(CONTRACT),
        folder=tmp_path / "edge",
        descriptors=contracts.SERVED,
        openapi=tmp_path / "openapi.json",
        docs=tmp_path / "docs",
        front=explorer.front(tmp_path / "front"),
        web=tmp_path / "docs",
        ca=certificates.ca,
        client_cert=certificates.certificate("edge"),
        client_key=certificates.key("edge"),
        server_cert=certificates.certificate("edge-server"),
        server_key=certificates.key("edge-server"),
        edges=edges,
    )
    envoy.write(CONTRACT, deployment)
    command = [*envoy.command(deployment), "--mode", "validate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "deprecated" not in done.stderr.lower()


def test_exactly_what_someone_outside_may_call_has_a_route() -> None:
    outside = {method.path for method in CONTRACT.methods if not method.internal}
    for listener in ("http", "https"):
        assert set(routes(built(), listener)) == outside
    assert set(routes(built(), "jwks")) == {"/weft.user.v1.OAuthService/GetJwks"}


def test_closing_a_method_takes_it_off_the_edge() -> None:
    closed = Changed(GetOrder={"callers": frozenset({Caller.INTERNAL}), "route": None, "rate": RateClass.NONE})
    config, path = built(closed), "/weft.order.v1.OrderService/GetOrder"
    assert path not in routes(config)
    assert asking(config, path) == []
    assert "OrderService.GetOrder" not in strict_json.tables(closed, sample(closed))


def test_a_method_is_as_long_as_its_deadline() -> None:
    path = "/weft.order.v1.OrderService/GetOrder"
    assert routes(built())[path]["route"]["timeout"] == "5.5s"
    assert routes(built(Changed(GetOrder={"deadline": 2.0})))[path]["route"]["timeout"] == "2.5s"
    stream = routes(built())["/weft.order.v1.OrderService/WatchOrders"]["route"]
    assert (stream["timeout"], stream["max_stream_duration"]["max_stream_duration"]) == ("0s", "310s")


LEAVING = ("WatchOrders", "WatchInbox")
"""The streams that an edge which drains sends on with a deadline."""


def asking(config: Json, path: str) -> list[Json]:
    """The routes that a request for an RPC takes: over REST before it is transcoded, and the one that leads on."""
    named = {"name": "x-weft-rpc", "string_match": {"exact": path}}
    *found, last = by_rpc(config).get(path, [unknown(config)])
    assert all(named in route["match"]["headers"] for route in found)
    assert last == unknown(config)
    return found


def said(route: Json, name: str) -> Json:
    """What a route says to a filter, without its type."""
    spoken = route["typed_per_filter_config"][f"envoy.filters.http.{name}"]
    return {key: value for key, value in spoken.items() if key != "@type"}


def test_who_must_show_a_token_is_said_by_the_routes_of_an_rpc() -> None:
    def needs(config: Json, path: str) -> list[Json]:
        return [said(route, "jwt_authn") for route in asking(config, path)]

    path = "/weft.order.v1.ProductService/GetProduct"
    held, welcome = {"requirement_name": "held"}, {"requirement_name": "welcome"}
    assert filter_of(built(), "jwt_authn")["requirement_map"]["held"] == {"provider_name": "weft"}
    assert needs(built(), path) == [welcome, welcome]
    assert needs(built(Changed(GetProduct={"callers": frozenset({Caller.USER})})), path) == [held, held]
    assert needs(built(), "/weft.user.v1.AuthService/SignIn") == [{"disabled": True}] * 2
    for method in CONTRACT.methods:
        if not method.internal and not method.public:
            found = needs(built(), method.path)
            assert found == [held] * (1 + bool(method.route) + (method.name in LEAVING)), method.name


def test_a_call_goes_where_its_token_and_limit_were_looked_at_and_nowhere_else() -> None:
    """The RPC that the headers asked for is the RPC of the path, or there is no route."""
    config = built()
    for path, route in routes(config).items():
        assert route in asking(config, path)
        assert route["match"]["path"] == path
        before = [other for other in asking(config, path) if other is not route]
        if path.rpartition("/")[2] in LEAVING:
            # Taken at times only, by the same requests, to the same place.
            leaving = before.pop(0)
            assert {**leaving["match"], "runtime_fraction": None} == {**route["match"], "runtime_fraction": None}
            assert leaving["match"]["runtime_fraction"]["default_value"] == {"numerator": 0}
            assert {**leaving, "match": 0, "request_headers_to_add": 0} == {
                **route,
                "match": 0,
                "request_headers_to_add": 0,
            }
        assert all(other["route"].get("cluster_header") == "x-weft-nowhere" for other in before)
        assert [other["metadata"] for other in before] in ([], [route["metadata"]])
    stripped = manager(config)["early_header_mutation_extensions"][0]["typed_config"]["mutations"]
    assert {"remove_on_match": {"key_matcher": {"prefix": "x-weft-"}}} in stripped


def test_a_body_may_be_as_large_as_the_contract_lets_it_be() -> None:
    config = built()
    for method in CONTRACT.methods:
        if not method.internal:
            largest = sizes.largest_body(method, CONTRACT)
            bounds = [said(route, "buffer")["buffer"]["max_request_bytes"] for route in asking(config, method.path)]
            assert set(bounds) == {largest}
            assert largest <= sizes.MAX_BODY
    assert said(unknown(config), "buffer") == {"disabled": True}


def test_tokens_come_in_the_header_alone_and_stale_keys_do_not_last() -> None:
    provider = filter_of(built(), "jwt_authn")["providers"]["weft"]
    assert provider["from_headers"] == [{"name": "authorization", "value_prefix": "Bearer "}]
    assert "from_params" not in provider
    assert (provider["issuer"], provider["audiences"]) == ("https://weft.local", ["weft"])
    assert "jwt_cache_config" in provider


def test_every_plan_and_class_has_its_bucket_and_the_buckets_do_not_evict() -> None:
    limits = filter_of(built(), "local_ratelimit")
    found = {
        tuple(entry.get("value", "*") for entry in descriptor["entries"]): descriptor["token_bucket"]["max_tokens"]
        for descriptor in limits["descriptors"]
    }
    by_plan = {
        (rate.name.lower(), plan, "*"): each for plan, rates in CONTRACT.plans.items() for rate, each in rates.items()
    }
    anonymous = {("sign_in", "anonymous", "*"), ("sign_up", "anonymous", "*"), ("read", "anonymous", "*")}
    assert by_plan.items() <= found.items()
    assert anonymous <= set(found)
    assert limits["max_dynamic_descriptors"] >= 10_000
    assert "local_cluster_rate_limit" in limits
    assert "local_cluster_rate_limit" not in filter_of(built(edges=1), "local_ratelimit")
    assert {method.rate.name.lower() for method in CONTRACT.methods if not method.internal} <= {key[0] for key in found}


def test_filters_stand_in_the_order_that_their_reasons_ask_for() -> None:
    names = [one["name"].removeprefix("envoy.filters.http.") for one in manager(built())["http_filters"]]
    assert names == [
        "header_mutation", "health_check", "cors", "compressor", "lua", "jwt_authn", "local_ratelimit", "wasm", "buffer",
        "bodies", "grpc_json_transcoder", "set_filter_state", "router",
    ]  # fmt: skip


def test_plain_http_is_on_loopback_alone() -> None:
    listeners = {one["name"]: one for one in built(https_address="0.0.0.0")["static_resources"]["listeners"]}
    hosts = {name: one["address"]["socket_address"]["address"] for name, one in listeners.items()}
    assert hosts == {"http": "127.0.0.1", "https": "0.0.0.0", "jwks": "127.0.0.1", "metrics": "127.0.0.1"}
    assert built()["admin"]["address"] == {"pipe": {"path": "/etc/weft/edge/admin.sock", "mode": 0o600}}
    assert [one["name"] for one in built(http_port=0)["static_resources"]["listeners"]] == ["jwks", "metrics", "https"]


def test_the_edge_itself_says_only_reasons_of_the_contract_and_never_what_envoy_says() -> None:
    config = local_replies.build(CONTRACT)
    printing = [mapper for mapper in config["mappers"] if "LOCAL_REPLY_BODY" in json.dumps(mapper)]
    assert len(printing) == 1
    assert local_replies.LUA in json.dumps(printing)
    source = "".join(strict_json.written(*strict_json.HEADERS, *strict_json.BODIES))
    reasons = set(re.findall(r'reason = "([A-Z_]+)"', source))
    assert {("weft.api.v1", reason) for reason in reasons} <= set(CONTRACT.reasons)


def test_every_rest_route_has_its_rule_in_the_lua() -> None:
    tables = strict_json.tables(CONTRACT, sample(CONTRACT))
    ruled = set(re.findall(r'^R\["([^"]+)"\]', tables, re.M))
    assert ruled == {method.full_name for method in CONTRACT.methods if method.route and not method.internal}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/orders", (["v1", "orders"], "")),
        ("/v1/orders:quote", (["v1", "orders"], "quote")),
        ("/v1/users/{user.user_id}:lock", (["v1", "users", "*"], "lock")),
        ("/v1/{name=shelves/*/books/*}", (["v1", "shelves", "*", "books", "*"], "")),
        ("/v1/files/{path=**}", (["v1", "files", "**"], "")),
    ],
)
def test_templates_become_segments(path: str, expected: tuple[list[str], str]) -> None:
    assert strict_json.segments(routed(path)) == expected


def test_a_template_that_the_edge_cannot_match_is_refused_in_a_sentence() -> None:
    with pytest.raises(contracts.ContractError, match=r"GetOrder has `\*\*` before the end of /v1/\{a=\*\*\}/b"):
        strict_json.segments(routed("/v1/{a=**}/b"))


def test_two_methods_of_one_route_are_refused_in_a_sentence() -> None:
    twice = Changed(GetPayment={"route": contracts.Route("GET", "/v1/orders/{payment_id}", "")})
    with pytest.raises(contracts.ContractError, match="has the route of another RPC"):
        strict_json.tables(twice, sample(twice))


def routed(path: str) -> Method:
    """A method with another path."""
    method = CONTRACT.by_path["/weft.order.v1.OrderService/GetOrder"]
    return dataclasses.replace(method, route=contracts.Route("GET", path, ""))
