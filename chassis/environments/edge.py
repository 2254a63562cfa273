"""What the environments refuse of the settings of an edge's container."""

from typing import Any

from chassis.environments.addresses import is_example, is_local, split
from chassis.environments.rule import CLEARTEXT_ALLOWED, PRODUCTION, STAGED, Rule

_HTTP = "WEFT_EDGE_HTTP_LISTEN"


def _is_open_to_all(settings: Any) -> bool:
    listen = settings.edge_http_listen
    return bool(listen) and not is_local(listen.rpartition(":")[0]) and _HTTP not in settings.cleartext_allowed


RULES: tuple[Rule, ...] = (
    Rule(
        "WEFT_TLS_CERT", STAGED, lambda s: not (s.tls_cert and s.tls_key and s.tls_ca),
        "services admit an edge by its certificate alone", "set it, WEFT_TLS_KEY and WEFT_TLS_CA",
    ),
    Rule(
        _HTTP, STAGED, _is_open_to_all, "passwords and tokens cross plain HTTP in the clear",
        f"unset it and serve HTTPS, or, behind a load balancer that ends TLS, {CLEARTEXT_ALLOWED}",
    ),
    Rule(
        "WEFT_ISSUER", STAGED, lambda s: not s.issuer.startswith("https://"),
        "tokens and passwords cross http:// in the clear", "write the https:// URL under which callers reach the edge",
    ),
    Rule(
        "WEFT_ISSUER", STAGED, lambda s: is_example(split(s.issuer).hostname or ""), "it is a host of examples",
        "write the URL under which callers reach the edge",
    ),
    Rule(
        "WEFT_EDGE_CORS_ORIGINS", STAGED, lambda s: not {"*", "null"}.isdisjoint(s.edge_cors_origins),
        "pages of any origin could call", "name each origin, such as https://shop.example",
    ),
    Rule(
        "WEFT_EDGE_CORS_ORIGINS", PRODUCTION, lambda s: any(one.startswith("http://") for one in s.edge_cors_origins),
        "whoever is on the way can change a page that comes over http://", "name origins with https:// alone",
    ),
)  # fmt: skip
"""In the order in which they are said."""
