"""Routes: one for each RPC that someone outside may call, by its exact gRPC path; nothing else leads to a service."""

from pathlib import Path

from codegen.envoy import clusters, tokens
from codegen.envoy.deployment import Deployment
from codegen.envoy.lua import time_slicing
from codegen.envoy.typed import Json, header, seconds, typed
from contract import Contract, Method, sizes

METADATA = "weft"
"""Where other filters read from routes: `rate`, the rate class, and `operation`."""
TIMEOUT = "x-weft-timeout"
"""The header that holds a stream's `grpc-timeout` while Envoy looks."""
RPC = "x-weft-rpc"
"""The header that holds the requested RPC, set by the edge's Lua from the headers alone; its value is a gRPC path."""
HOLDS = "x-weft-holds"
"""The header that holds the number of bytes that the edge may have to hold for the request."""
SERVED = "x-weft-served"
"""The header of an answer that came from a service, not from the edge itself; it stays inside."""
LEAVING = "weft.edge.leaving"
"""The runtime key by which an edge that drains is told (0 to 100) that streams which begin now are to end soon."""
LAST_STREAM = "1S"
"""How long such a stream may take: its service ends it with a last message, and its caller resumes it elsewhere."""
ANSWER_GRACE_S = 0.5
"""Seconds that a service has, past its deadline, to answer for itself before the edge does."""
STREAM_GRACE_S = 10.0

LOOPBACK = "127.0.0.1"
RETRIES = {
    # Only what never reached a server: who repeats the rest is the caller, who knows the key and the deadline.
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 3,
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
    "host_selection_retry_max_attempts": "10",
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
        }
    ],
}

NOWHERE: Json = {"cluster_header": "x-weft-nowhere", "cluster_not_found_response_code": "NOT_FOUND"}
"""A cluster that nobody can name, not a direct response: the CORS filter looks for its policy in routes to clusters only."""

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""What a page of ours may do: load from its own origin, and call the API there. The explorer writes styles in place."""

ALONE = {
    f"envoy.filters.http.{name}": typed("config.route.v3.FilterConfig", disabled=True)
    for name in ("grpc_json_transcoder", "local_ratelimit", "buffer", "bodies")
}
"""For the edge's own pages: the transcoder would answer 404, as it knows no such path, and nothing is counted."""

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}


def edge(contract: Contract, deployment: Deployment) -> Json:
    """The routes of the public listeners."""
    balanced = time_slicing.route(deployment)
    by_rpc = {method.path: _of_rpc(contract, method, balanced) for method in contract.methods if not method.internal}
    host = {
        "name": "edge",
        "domains": ["*"],
        "matcher": _by_rpc(by_rpc, otherwise=[*_static(deployment), _unknown()]),
        "typed_per_filter_config": {"envoy.filters.http.cors": _cors(deployment)},
        "request_headers_to_remove": [TIMEOUT, RPC, HOLDS],
    }
    return {"name": "edge", "max_direct_response_body_size_bytes": 8 << 20, "virtual_hosts": [host]}


def jwks(contract: Contract) -> Json:
    """The one route of the loopback listener that Envoy itself fetches the key set from."""
    routes = [_trusted(m) for m in contract.methods if m.route and m.route.path == tokens.JWKS_PATH]
    return {"name": "jwks", "virtual_hosts": [{"name": "jwks", "domains": ["*"], "routes": routes}]}


def metrics(deployment: Deployment) -> Json:
    """The two pages of the admin interface that may be read by TCP.

    On loopback by its own names, so that no web page leads here; elsewhere by any, as a kubelet and Prometheus use a pod's address.
    """
    local = deployment.metrics_address == LOOPBACK
    names = [f"{host}:{deployment.metrics_port}" for host in (LOOPBACK, "localhost")] if local else ["*"]
    routes = [
        {"name": path, "match": _reads("path", path), "route": {"cluster": clusters.ADMIN, "timeout": "10s"}}
        for path in ("/stats/prometheus", "/ready")
    ]
    return {"name": "metrics", "virtual_hosts": [{"name": "metrics", "domains": names, "routes": routes}]}


def _by_rpc(routes: dict[str, list[Json]], otherwise: list[Json]) -> Json:
    """Looks the requested RPC up, instead of asking each of some hundred routes three times a call."""
    requested = typed("type.matcher.v3.HttpRequestHeaderMatchInput", header_name=RPC)
    found = {rpc: _first_of(each) for rpc, each in routes.items()}
    return {
        "matcher_tree": {"input": {"name": "rpc", "typed_config": requested}, "exact_match_map": {"map": found}},
        "on_no_match": _first_of(otherwise),
    }


def _first_of(routes: list[Json]) -> Json:
    return {"action": {"name": "routes", "typed_config": typed("config.route.v3.RouteList", routes=routes)}}


def _of_rpc(contract: Contract, method: Method, balanced: Json) -> list[Json]:
    """The routes of a request for an RPC. Where the Lua and the transcoder read a path differently it leads nowhere."""
    before = [_before(contract, method)] if method.route else []
    call = _call(contract, method, balanced)
    return [*_leaving(contract, method, call), call, *before, _unknown()]


def _leaving(contract: Contract, method: Method, call: Json) -> list[Json]:
    """Where a stream goes that begins while the edge drains, on a connection that is still open: one that can be resumed is
    ended by its service before the edge cuts it.
    """
    if not (method.server_streaming and "cursor" in contract.pool.FindMessageTypeByName(method.input).fields_by_name):
        return []
    never = {"default_value": {"numerator": 0}, "runtime_key": LEAVING}
    soon = [header("grpc-timeout", LAST_STREAM)]
    return [call | {"match": call["match"] | {"runtime_fraction": never}, "request_headers_to_add": soon}]


def _call(contract: Contract, method: Method, balanced: Json) -> Json:
    """Where a call goes, once it has the gRPC path of the RPC for which its token and limit were checked."""
    route = _trusted(method, balanced)
    route["match"]["headers"].append(_exactly(RPC, method.path))
    if not method.cookie:  # nobody else has a use for cookies, and no reply sets one
        route |= {"request_headers_to_remove": ["cookie"], "response_headers_to_remove": ["set-cookie"]}
    return route | {
        # The edge's own answers have them added too, but no host, and a header without a value is left out.
        "response_headers_to_add": [*route.get("response_headers_to_add", ()), header(SERVED, "%UPSTREAM_HOST%")],
        "typed_per_filter_config": _bounds(contract, method),
    }


def _before(contract: Contract, method: Method) -> Json:
    """What a REST request is held to before it is transcoded. It leads nowhere: `_call` does, for the same RPC alone."""
    kind = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    missing = {"invert_match": True, "treat_missing_header_as_empty": True}
    return {
        "name": method.full_name.removeprefix("weft."),
        "match": {"prefix": "/", "headers": [_exactly(RPC, method.path), kind | missing]},
        "route": NOWHERE,
        "metadata": _described(method),
        "typed_per_filter_config": _bounds(contract, method),
    }


def _bounds(contract: Contract, method: Method) -> Json:
    largest = {"max_request_bytes": sizes.largest_body(method, contract)}
    return {
        "envoy.filters.http.jwt_authn": tokens.requirement(method),
        "envoy.filters.http.buffer": typed("extensions.filters.http.buffer.v3.BufferPerRoute", buffer=largest),
    }


def _exactly(name: str, value: str) -> Json:
    return {"name": name, "string_match": {"exact": value}}


def _described(method: Method) -> Json:
    described: Json = {METADATA: {"rate": method.rate.name.lower(), "operation": method.full_name}}
    if method.route and method.route.path.startswith("/oauth2/"):
        described["envoy.filters.http.lua"] = {"oauth": True}
    elif method.route and method.route.body not in ("", "*"):
        described["envoy.filters.http.lua"] = {"body": method.route.body}
    return {"filter_metadata": described}


def _trusted(method: Method, balanced: Json | None = None) -> Json:
    action: Json = {"cluster": clusters.cluster_of(method), "retry_policy": RETRIES, **(balanced or {})}
    if method.server_streaming:
        longest = seconds(method.deadline + STREAM_GRACE_S)
        action |= {"timeout": "0s", "idle_timeout": "60s", "max_stream_duration": {"max_stream_duration": longest}}
    else:
        action |= {"timeout": seconds(method.deadline + ANSWER_GRACE_S)}
    streamed: Json = {}
    if method.server_streaming:
        streamed = {
            # The service ends the stream at its caller's deadline, with a last message. Envoy would keep the deadline from it,
            # or cut the stream at the same moment, so the Lua says it under another name meanwhile.
            "request_headers_to_add": [header("grpc-timeout", f"%REQ({TIMEOUT})%")],
            # Proxies in between, nginx first of all, hand events on as they come.
            "response_headers_to_add": [header("x-accel-buffering", "no")],
        }
    return {
        "name": method.full_name.removeprefix("weft."),
        "match": {"path": method.path, "grpc": {}, "headers": [_exactly(":method", "POST")]},
        "route": action,
        **streamed,
        "metadata": _described(method),
    }


def _unknown() -> Json:
    """What leads nowhere, and what the Lua has not read yet. Its body is not waited for."""
    counted = {METADATA: {"rate": "read"}}
    # Not `FilterConfig`: that takes the filter out for good, and this is every request's first route.
    refused = {"envoy.filters.http.buffer": typed("extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True)}
    return {
        "name": "unknown",
        "match": {"prefix": "/"},
        "route": NOWHERE,
        "metadata": {"filter_metadata": counted},
        "typed_per_filter_config": refused,
    }


def _static(deployment: Deployment) -> list[Json]:
    """Files as direct responses, read when Envoy starts; its file server is outside of its threat model."""
    routes = [_file("/openapi.json", deployment.openapi)] if deployment.openapi else []
    if deployment.front:
        routes += _front(deployment.front)
    if deployment.docs:
        routes += _folder("/docs", deployment.docs)
    if deployment.web:
        routes += _folder("/app", deployment.web)
        # A single-page application finds its own way from any address.
        routes.append(_file("/app/", deployment.web / "index.html", match="prefix"))
    return routes


def _front(folder: Path) -> list[Json]:
    """A page for browsers, the same in JSON for programs, and the files that every site has."""
    page, data = _file("/", folder / "front.html"), _file("/", folder / "front.json")
    page["match"]["headers"].append({"name": "accept", "string_match": {"contains": "text/html"}})
    for route in (page, data):
        route["response_headers_to_add"].append(header("vary", "accept"))
    icon = _file("/favicon.ico", folder / "favicon.ico", kind="image/png")
    return [page, data, _file("/robots.txt", folder / "robots.txt"), icon]


def _folder(prefix: str, folder: Path) -> list[Json]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    bare = {"match": _reads("path", prefix), "typed_per_filter_config": ALONE}
    return [
        {"name": prefix, **bare, "redirect": {"path_redirect": f"{prefix}/"}},
        _file(f"{prefix}/", folder / "index.html"),
        *(_file(f"{prefix}/{path.relative_to(folder).as_posix()}", path) for path in files),
    ]


def _file(path: str, file: Path, match: str = "path", kind: str = "") -> Json:
    kind = kind or CONTENT_TYPES.get(file.suffix.lstrip("."), "application/octet-stream")
    headers = [header("content-type", kind), header("cache-control", "no-cache")]
    if kind.startswith("text/html"):
        headers.append(header("content-security-policy", PAGE_POLICY))
    return {
        "name": path,
        "match": _reads(match, path),
        "direct_response": {"status": 200, "body": {"filename": str(file)}},
        "response_headers_to_add": headers,
        "typed_per_filter_config": ALONE,
    }


def _reads(match: str, path: str) -> Json:
    return {match: path, "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}]}


def _cors(deployment: Deployment) -> Json:
    return typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[{"exact": origin} for origin in deployment.cors_origins],
        allow_methods="GET, POST, PATCH, DELETE",
        allow_headers="authorization, content-type, idempotency-key, traceparent, tracestate, grpc-timeout",
        expose_headers="x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after, "
        "location, idempotency-replayed, traceresponse",
        max_age="7200",
    )
