"""Access tokens at the edge: which RPC needs one, how it is verified, and where the keys come from."""

from codegen.envoy import clusters
from codegen.envoy.deployment import Deployment
from codegen.envoy.typed import Json, http_filter, typed
from contract import Method, RateClass

PROVIDER = "weft"
NAMESPACE = "envoy.filters.http.jwt_authn"
"""The dynamic metadata that holds a verified token's claims, under the key `claims`."""
CLAIMS = "claims"
JWKS_PATH = "/.well-known/jwks.json"

_HELD: Json = {"provider_name": PROVIDER}
REQUIREMENTS: Json = {
    "held": _HELD,
    # A token on a public RPC identifies the client; an invalid one counts as none.
    "welcome": {"requires_any": {"requirements": [_HELD, {"allow_missing_or_failed": {}}]}},
}


def build(deployment: Deployment) -> Json:
    """The filter. Each route says which of the requirements its RPC has; what has no route leads nowhere."""
    provider = {
        "issuer": deployment.issuer,
        "audiences": ["weft"],
        "remote_jwks": {
            "http_uri": {
                "uri": f"http://127.0.0.1:{deployment.jwks_port}{JWKS_PATH}",
                "cluster": clusters.JWKS,
                "timeout": "2s",
            },
            # New keys are known within this time; publish a key that long before signing with it.
            "cache_duration": "5s",
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": "1s"},
        },
        "forward": True,
        # Else a token may also come as a query parameter, which logs keep.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "payload_in_metadata": CLAIMS,
        "clock_skew_seconds": 60,
        "require_expiration": True,
        "jwt_cache_config": {"jwt_cache_size": 5000, "jwt_max_token_size": 8192},
    }
    return http_filter(
        "jwt_authn",
        "jwt_authn.v3.JwtAuthentication",
        providers={PROVIDER: provider},
        requirement_map=REQUIREMENTS,
        strip_failure_response=True,
    )


def requirement(method: Method) -> Json:
    """What a route to an RPC says to the filter."""
    if not method.public:
        return typed(_ROUTE, requirement_name="held")
    if method.rate in (RateClass.SIGN_IN, RateClass.SIGN_UP):
        return typed(_ROUTE, disabled=True)
    return typed(_ROUTE, requirement_name="welcome")


_ROUTE = "extensions.filters.http.jwt_authn.v3.PerRouteConfig"
