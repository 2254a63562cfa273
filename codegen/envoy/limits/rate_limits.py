"""Rate limits: one bucket for each client, plan and rate class, and for each address where there is no token.

One filter-wide configuration: a bucket in a route's configuration would be that route's alone, and a plan's reads are
counted together. Over several edges each fills its buckets with its share, which is right for evenly spread load only.
"""

from codegen.envoy.deployment import Deployment
from codegen.envoy.routes import METADATA
from codegen.envoy.tokens import CLAIMS, NAMESPACE
from codegen.envoy.typed import Json, http_filter
from contract import Contract, RateClass

CALLS_PER_ADDRESS_S = {RateClass.SIGN_IN: 50, RateClass.SIGN_UP: 20}
"""Calls a second from one address that could guess a secret or send mail; other calls without a token have the smallest plan."""
MAX_BUCKETS = 20_000
"""Buckets for each descriptor; a new client replaces the least recently used one."""


def build(contract: Contract, deployment: Deployment) -> Json:
    """The filter, behind the one that verifies tokens."""
    classes: Json = {
        "metadata": {
            "descriptor_key": "class",
            "source": "ROUTE_ENTRY",
            "metadata_key": {"key": METADATA, "path": [{"key": "rate"}]},
        }
    }
    by_client = [classes, _claim("plan", default=_least(contract)), _claim("sub")]
    by_address = [classes, _claim("sub", key="holder", default="anonymous"), {"remote_address": {}}]
    sharing: Json = {"local_cluster_rate_limit": {}} if deployment.edges > 1 else {}
    return http_filter(
        "local_ratelimit",
        "local_ratelimit.v3.LocalRateLimit",
        stat_prefix="edge",
        # What no descriptor counts (the edge's own pages) is not limited.
        token_bucket=_bucket(1_000_000_000),
        always_consume_default_token_bucket=False,
        filter_enabled=_all(),
        filter_enforced=_all(),
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
        enable_retry_after_header=True,
        rate_limited_as_resource_exhausted=True,
        max_dynamic_descriptors=MAX_BUCKETS,
        rate_limits=[{"actions": by_client}, {"actions": by_address}],
        descriptors=_descriptors(contract),
        **sharing,
    )


def _descriptors(contract: Contract) -> list[Json]:
    found = []
    for plan, limits in contract.plans.items():
        for rate, each in limits.items():
            entries = [("class", rate.name.lower()), ("plan", plan), ("sub", "")]
            found.append({"entries": _entries(entries), "token_bucket": _bucket(each)})
    for rate, each in (contract.plans[_least(contract)] | CALLS_PER_ADDRESS_S).items():
        entries = [("class", rate.name.lower()), ("holder", "anonymous"), ("remote_address", "")]
        found.append({"entries": _entries(entries), "token_bucket": _bucket(each)})
    return found


def _least(contract: Contract) -> str:
    """The plan with the fewest reads, for callers without a token and tokens without a plan."""
    return min(contract.plans, key=lambda plan: contract.plans[plan][RateClass.READ])


def _claim(claim: str, *, key: str = "", default: str = "") -> Json:
    path = [{"key": CLAIMS}, {"key": claim}]
    action = {"descriptor_key": key or claim, "source": "DYNAMIC", "metadata_key": {"key": NAMESPACE, "path": path}}
    return {"metadata": action | ({"default_value": default} if default else {})}


def _entries(pairs: list[tuple[str, str]]) -> list[Json]:
    return [{"key": key, "value": value} if value else {"key": key} for key, value in pairs]


def _bucket(each_second: int) -> Json:
    return {"max_tokens": each_second, "tokens_per_fill": each_second, "fill_interval": "1s"}


def _all() -> Json:
    return {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
