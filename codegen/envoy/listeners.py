"""Where the edge listens: HTTPS for everyone, plain HTTP and metrics on loopback unless told otherwise, its own key set on loopback."""

from codegen.envoy import bounds, filters, local_replies, routes, telemetry
from codegen.envoy.deployment import Deployment
from codegen.envoy.limits import callers
from codegen.envoy.secrets import downstream_tls
from codegen.envoy.typed import Json, address, extension, header
from contract import Contract

LOOPBACK = "127.0.0.1"
MANAGER = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def build(contract: Contract, deployment: Deployment) -> list[Json]:
    """All listeners of a deployment."""
    found = [_jwks(contract, deployment)]
    if deployment.metrics_port:
        found.append(_metrics(deployment))
    before = callers.connection_filters(deployment)
    if deployment.http_port:
        public = _public(contract, deployment, https=False)
        found.append(_listener("http", deployment.http_address, deployment.http_port, *before, public))
    if deployment.https_port:
        public = _public(contract, deployment, https=True)
        secure = _listener("https", deployment.https_address, deployment.https_port, *before, public)
        secure["filter_chains"][0]["transport_socket"] = downstream_tls(deployment)
        secure["filter_chains"][0]["transport_socket_connect_timeout"] = "10s"
        found.append(secure)
    return found


def _listener(name: str, host: str, port: int, *network_filters: Json) -> Json:
    return {
        "name": name,
        "address": address(host, port),
        # A stream may hold one body or one transcoded reply.
        "per_connection_buffer_limit_bytes": filters.MAX_ANSWER_BYTES,
        "filter_chains": [{"filters": list(network_filters)}],
    }


def _public(contract: Contract, deployment: Deployment, *, https: bool) -> Json:
    tracing = telemetry.tracing(deployment)
    return _manager(
        "edge",
        route_config=routes.edge(contract, deployment),
        http_filters=filters.public(contract, deployment, https=https),
        local_reply_config=local_replies.build(contract),
        access_log=telemetry.access_logs(deployment),
        use_remote_address=True,
        xff_num_trusted_hops=deployment.trusted_hops,
        # Nobody is internal by address, loopback included. An empty list would mean the private ranges.
        internal_address_config={"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        always_set_request_id_in_response=True,
        early_header_mutation_extensions=[_strip()],
        **({"tracing": tracing} if tracing else {}),
    )


def _jwks(contract: Contract, deployment: Deployment) -> Json:
    chain = [filters.transcoder(contract, deployment), filters.router()]
    manager = _manager("jwks", route_config=routes.jwks(contract), http_filters=chain)
    return _listener("jwks", LOOPBACK, deployment.jwks_port, manager)


def _metrics(deployment: Deployment) -> Json:
    """Two pages of the admin interface, to read: everything else there changes the edge, and is for its own user."""
    manager = _manager("metrics", route_config=routes.metrics(deployment), http_filters=[filters.router()])
    return _listener("metrics", deployment.metrics_address, deployment.metrics_port, manager)


def _manager(prefix: str, **fields: object) -> Json:
    return extension(
        "envoy.filters.network.http_connection_manager",
        MANAGER,
        stat_prefix=prefix,
        codec_type="AUTO",
        server_name="weft",
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        max_request_headers_kb=bounds.READ_HEADER_KIB,
        # Slow senders: headers, whole request, silence.
        request_headers_timeout="10s",
        request_timeout="30s",
        stream_idle_timeout="60s",
        delayed_close_timeout="1s",
        drain_timeout="5s",
        common_http_protocol_options={
            "idle_timeout": "60s",
            "max_headers_count": bounds.READ_HEADERS,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        http2_protocol_options={
            "max_concurrent_streams": bounds.MAX_STREAMS_PER_CONNECTION,
            "max_header_field_size_kb": bounds.READ_HEADER_KIB,
            "initial_stream_window_size": 262_144,
            "initial_connection_window_size": 2_097_152,
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
        **fields,
    )


def _strip() -> Json:
    """Headers that the edge sets for the services are removed from callers' requests; a caller's trace is kept apart from ours."""
    forged = [
        {"remove_on_match": {"key_matcher": {"prefix": "x-weft-"}}},
        # Before the tracer looks: else callers would decide what is traced, and write into the traces of others.
        {"append": header("x-weft-client-traceparent", "%REQ(traceparent)%")},
        {"remove": "traceparent"},
        {"remove": "tracestate"},
        {"remove": "x-client-trace-id"},
        {"remove": "x-envoy-original-path"},
        {"remove": "x-envoy-original-method"},
    ]
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=forged,
    )
