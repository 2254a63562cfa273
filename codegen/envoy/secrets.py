"""Certificates: secret files that Envoy watches, and the TLS of both sides that refers to them.

A secret file names PEM files; when one is renamed into its folder, Envoy reads them again and new connections use them.
"""

from pathlib import Path

from codegen.envoy.deployment import Deployment
from codegen.envoy.typed import Json, extension, typed

SERVER, CLIENT, AUTHORITY = "server", "client", "authority"
TRANSPORT = "extensions.transport_sockets.tls.v3"


def files(deployment: Deployment) -> dict[str, Json]:
    """File name to content of the secrets that the deployment has certificates for."""
    found: dict[str, Json] = {}
    if deployment.server_cert and deployment.server_key:
        found[_file(SERVER)] = _certificate(SERVER, deployment.server_cert, deployment.server_key)
    if deployment.client_cert and deployment.client_key:
        found[_file(CLIENT)] = _certificate(CLIENT, deployment.client_cert, deployment.client_key)
    if deployment.ca:
        context = {
            "trusted_ca": {"filename": str(deployment.ca)},
            "watched_directory": {"path": str(deployment.ca.parent)},
        }
        found[_file(AUTHORITY)] = _resources(AUTHORITY, {"validation_context": context})
    return found


def upstream_tls(service: str, deployment: Deployment) -> Json:
    """mTLS to a service, which must show the SPIFFE name of that very service."""
    san = {"san_type": "URI", "matcher": {"exact": f"spiffe://weft/{service}"}}
    return extension(
        "envoy.transport_sockets.tls",
        f"{TRANSPORT}.UpstreamTlsContext",
        sni=f"{service}.weft.internal",
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2"],
            "tls_certificate_sds_secret_configs": [_reference(CLIENT, deployment)],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": [san]},
                "validation_context_sds_secret_config": _reference(AUTHORITY, deployment),
            },
        },
    )


def receiver_tls(host: str, deployment: Deployment) -> Json:
    """TLS to the trace receiver, whose certificate must have the host's name or address."""
    literal = ":" in host or host.replace(".", "").isdigit()
    san = {"san_type": "IP_ADDRESS" if literal else "DNS", "matcher": {"exact": host}}
    return extension(
        "envoy.transport_sockets.tls",
        f"{TRANSPORT}.UpstreamTlsContext",
        **({} if literal else {"sni": host}),
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2"],
            "validation_context": {
                "trusted_ca": {"filename": str(deployment.otlp_ca or _grpc_roots())},
                "match_typed_subject_alt_names": [san],
            },
        },
    )


def downstream_tls(deployment: Deployment) -> Json:
    """TLS 1.2 and later to callers, HTTP/2 preferred."""
    return extension(
        "envoy.transport_sockets.tls",
        f"{TRANSPORT}.DownstreamTlsContext",
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [_reference(SERVER, deployment)],
        },
    )


def _grpc_roots() -> Path:
    """The authorities that gRPC trusts by itself, so that the edge trusts the same receivers as the services."""
    import grpc  # the edge's image has none, and names its authorities

    return Path(grpc.__file__).parent / "_cython" / "_credentials" / "roots.pem"


def _file(name: str) -> str:
    return f"{name}.secret.json"


def _certificate(name: str, chain: Path, key: Path) -> Json:
    content = {
        "certificate_chain": {"filename": str(chain)},
        "private_key": {"filename": str(key)},
        "watched_directory": {"path": str(chain.parent)},
    }
    return _resources(name, {"tls_certificate": content})


def _resources(name: str, secret: Json) -> Json:
    return {"resources": [typed(f"{TRANSPORT}.Secret", name=name, **secret)]}


def _reference(name: str, deployment: Deployment) -> Json:
    path = {"path": str(deployment.folder / _file(name))}
    return {"name": name, "sds_config": {"path_config_source": path, "resource_api_version": "V3"}}
