"""Who is who inside the mesh: a certificate of cert-manager for each part."""

from typing import Any

from codegen.kubernetes import edge

Json = dict[str, Any]

MESH_AUTHORITY = "weft-authority"
"""The Issuer of the mesh's own certificates; components and overlays say what it is."""
PUBLIC_AUTHORITY = "weft-public"
"""The Issuer of what callers see."""


def objects(names: list[str]) -> list[Json]:
    """The certificates of services and edge."""
    inside = [_certificate(name, [f"spiffe://weft/{name}"], [f"{name}.weft.internal"]) for name in names]
    return [
        *inside,
        _certificate(edge.NAME, [f"spiffe://weft/{edge.NAME}"], []),
        _certificate(f"{edge.NAME}-server", [], ["weft.example"], issuer=PUBLIC_AUTHORITY),
    ]


def _certificate(name: str, uris: list[str], hosts: list[str], issuer: str = MESH_AUTHORITY) -> Json:
    spec: Json = {
        "secretName": f"{name}-tls",
        "duration": "2160h",
        "renewBefore": "720h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["digital signature", "server auth", *(["client auth"] if uris else [])],
        "issuerRef": {"name": issuer, "kind": "Issuer", "group": "cert-manager.io"},
    }
    spec |= {"uris": uris} if uris else {}
    spec |= {"dnsNames": hosts} if hosts else {}
    return {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": name}, "spec": spec}
