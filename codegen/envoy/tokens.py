"""Access tokens at the edge: which RPC needs one, how it is verified, and where the keys come from."""

from codegen.envoy import clusters
from codegen.envoy.deployment import Deployment
from codegen.envoy.routes import JWKS_PATH
from codegen.envoy.typed import Json, http_filter
from services.chassis.contract import Contract, Method, RateClass

PROVIDER = "weft"
NAMESPACE = "envoy.filters.http.jwt_authn"
"""The dynamic metadata that holds a verified token's claims, under the key `claims`."""
CLAIMS = "claims"


def build(contract: Contract, deployment: Deployment) -> Json:
    """The filter. It stands behind the transcoder, so that one rule for each gRPC path serves REST and native gRPC."""
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
    rules = [rule for method in contract.methods if not method.internal for rule in _rules(method)]
    return http_filter(
        "jwt_authn",
        "jwt_authn.v3.JwtAuthentication",
        providers={PROVIDER: provider},
        rules=rules,
        strip_failure_response=True,
    )


def _rules(method: Method) -> list[Json]:
    match = {"path": method.path}
    if not method.public:
        return [{"match": match, "requires": {"provider_name": PROVIDER}}]
    if method.rate in (RateClass.SIGN_IN, RateClass.SIGN_UP):
        return []
    # Who shows a token where none is asked for is counted by it; one that fails does not shut them out.
    either = {"requirements": [{"provider_name": PROVIDER}, {"allow_missing_or_failed": {}}]}
    return [{"match": match, "requires": {"requires_any": either}}]
