"""OpenAPI 3.1 from the contract: `document` builds it, `generate` writes `gen/openapi/openapi.json`."""

import json
import re
from pathlib import Path
from typing import Any

from codegen.openapi import errors, headers, standards
from codegen.openapi.examples import Samples
from codegen.openapi.operations import Operations
from codegen.openapi.schemas import Schemas
from contract import Contract, Route

Json = dict[str, Any]
FILE = Path("gen") / "openapi" / "openapi.json"

_DESCRIPTION = """\
An order platform for internal and partner integration. What is written here is derived from the Protobuf contract,
which is also what the server enforces.

- JSON is protojson: lowerCamelCase, 64-bit integers as strings, enums by name, zero values printed.
- Unknown body fields and unknown query parameters are refused.
- Every error is a `google.rpc.Status`, with the cause as `reason` of its `ErrorInfo`; under `/oauth2/` errors have the
  format of RFC 6749.
- A call that takes an `Idempotency-Key` is safe to repeat with the same key.
- Lists answer in pages: pass `nextPageToken` on as `pageToken` until it is empty.
"""


def document(read: Contract) -> Json:
    """The OpenAPI document of a contract's routed RPCs."""
    samples = Samples(read)
    schemas = Schemas(read, samples)
    failures = errors.Responses(read)
    operations = Operations(read, schemas, failures, samples)
    paths: dict[str, Json] = {}
    for method in read.methods:
        if method.route is not None:
            paths.setdefault(path(method.route), {})[method.route.verb.lower()] = operations.operation(method)
    components = {**schemas.components, **errors.SCHEMAS, **standards.SCHEMAS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weft",
            "version": "v1",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The edge that served this document."}],
        "tags": [
            {"name": service.name, "description": read.comment(service.full_name)}
            for service in read.services
            if any(method.route for method in read.of_service(service.full_name))
        ],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": dict(sorted(failures.components.items())),
            "headers": headers.COMPONENTS,
            "examples": dict(sorted(failures.examples.items())),
            "securitySchemes": _security_schemes(read),
        },
    }


def path(route: Route) -> str:
    """A route's path with variables named after their last field: `/v1/users/{user.user_id}` → `/v1/users/{user_id}`.

    OpenAPI takes two templates that differ only in the names of variables for the same path.
    """
    return re.sub(r"{(?:\w+\.)*(\w+)[^}]*}", r"{\1}", route.path)


def generate(read: Contract, root: Path) -> None:
    """Write the document under `root`."""
    target = root / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document(read), indent=1, ensure_ascii=False) + "\n")


def _security_schemes(read: Contract) -> Json:
    scopes = sorted({method.scope for method in read.methods if method.scope})
    lines = {scope: ", ".join(m.name for m in read.methods if m.scope == scope and m.route) for scope in scopes}
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `accessToken` of a sign-in, or a client's token.",
        },
        "oauth2": {
            "type": "oauth2",
            "description": "Partners' clients.",
            "flows": {"clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": lines}},
        },
        "client": {"type": "http", "scheme": "basic", "description": "The client's id and secret (RFC 6749)."},
    }
