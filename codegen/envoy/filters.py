"""The HTTP filters, in the order that a request meets them; a reply meets them backwards."""

from codegen.envoy import routes, tokens
from codegen.envoy.deployment import Deployment
from codegen.envoy.limits import callers, rate_limits
from codegen.envoy.lua import time_slicing
from codegen.envoy.typed import Json, header, http_filter
from contract import Contract, sizes

MAX_ANSWER_BYTES = 8 << 20
"""Bytes of a transcoded reply, which is held until it is whole."""
STRICT = "edge.lua"
BODIES = "bodies.lua"
COMPRESSED = ("application/json", "text/html", "text/css", "text/javascript", "image/svg+xml")
"""Not `text/event-stream`, whose events must arrive immediately."""
GZIP = "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"


def public(contract: Contract, deployment: Deployment, *, https: bool) -> list[Json]:
    """The filters of the public listeners, each with the reason for its place."""
    return [
        _answer_headers(https=https),  # first, so that every reply passes it last
        _health(),  # load balancers are answered whatever comes later
        _cors(),  # a preflight has no token and no JSON
        _compressor(),  # behind the transcoder on the way back: it sees JSON
        _lua("lua", deployment, STRICT),  # says which RPC the headers ask for; its reply hook runs after the transcoder
        tokens.build(deployment),  # by that RPC
        rate_limits.build(contract, deployment),  # knows the client by its token
        callers.request_filter(deployment),  # what the request may send has room, of its address and of all
        _buffer(),  # only now is a body waited for: whole and within the bound of its RPC, or nobody sees it
        _lua("bodies", deployment, BODIES),  # before the transcoder drops what it does not know
        transcoder(contract, deployment),
        *time_slicing.http_filters(deployment),
        router(),
    ]


def transcoder(contract: Contract, deployment: Deployment) -> Json:
    """REST to gRPC for every service that has routes; strict in all that it can be."""
    return http_filter(
        "grpc_json_transcoder",
        "grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(deployment.descriptors),
        services=sorted({method.service for method in contract.methods if method.route and not method.internal}),
        convert_grpc_status=True,
        print_options={"always_print_primitive_fields": True, "stream_sse_style_delimited": True},
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        query_param_unescape_plus=True,
        max_request_body_size=sizes.MAX_BODY,
        max_response_body_size=MAX_ANSWER_BYTES,
    )


def router() -> Json:
    """The last filter, which sends the call; it adds no `x-envoy-*` headers."""
    return http_filter("router", "router.v3.Router", suppress_envoy_headers=True)


def _answer_headers(*, https: bool) -> Json:
    answers = [
        header("x-content-type-options", "nosniff"),
        header("x-frame-options", "DENY"),
        header("referrer-policy", "no-referrer"),
        # The trace that the call belongs to (W3C Trace Context, level 2), as the tracer handed it on.
        header("traceresponse", "%REQ(traceparent)%"),
        # Answers hold tokens and people's orders; cacheable answers say so themselves.
        header("cache-control", "no-store") | {"append_action": "ADD_IF_ABSENT"},
    ]
    if https:
        answers.append(header("strict-transport-security", "max-age=31536000; includeSubDomains"))
    return http_filter(
        "header_mutation",
        "header_mutation.v3.HeaderMutation",
        mutations={
            "response_mutations": [
                *({"append": answer} for answer in answers),
                {"remove": "x-envoy-upstream-healthchecked-cluster"},
                {"remove": routes.SERVED},
            ]
        },
    )


def _health() -> Json:
    matching = [{"name": ":path", "string_match": {"exact": "/healthz"}}]
    return http_filter("health_check", "health_check.v3.HealthCheck", pass_through_mode=False, headers=matching)


def _cors() -> Json:
    return http_filter("cors", "cors.v3.Cors")


def _compressor() -> Json:
    common = {
        "enabled": {"default_value": True, "runtime_key": "compress"},
        "min_content_length": 1024,
        "content_type_matcher": [{"prefix": kind} for kind in COMPRESSED],
    }
    gzip = {"name": "gzip", "typed_config": {"@type": GZIP, "compression_level": "COMPRESSION_LEVEL_4"}}
    return http_filter(
        "compressor",
        "compressor.v3.Compressor",
        response_direction_config={
            "common_config": common,
            "remove_accept_encoding_header": True,
            "uncompressible_response_codes": [204],
        },
        compressor_library=gzip,
    )


def _buffer() -> Json:
    # Routes say their own bound; none is larger.
    return http_filter("buffer", "buffer.v3.Buffer", max_request_bytes=sizes.MAX_BODY)


def _lua(name: str, deployment: Deployment, file: str) -> Json:
    return http_filter(name, "lua.v3.Lua", default_source_code={"filename": str(deployment.folder / file)})
