"""A contract with every kind of field and of path, and an edge before it: for what today's contract does not have yet."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from pathlib import Path
from typing import Any

import httpx
from google.protobuf import message_factory
from google.protobuf.message import Message

from codegen import envoy
from contract import Contract
from tests.contract import compiled
from tests.edge.running import running, stat, until
from tests.edge.upstream import Upstream
from tests.servers import free_ports

_KINDS = [
    "double",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
    "bytes",
    "Colour",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.StringValue",
    "google.protobuf.Int64Value",
    "google.protobuf.BoolValue",
    "google.protobuf.BytesValue",
    "google.protobuf.DoubleValue",
    "Inner",
]
_ALONE = ["google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"]
_MAPS = ("string, string", "string, Inner", "int32, string", "bool, int64", "uint64, Colour")


def _name(kind: str) -> str:
    return kind.rpartition(".")[2].lower() + "_field"


FIELDS = [
    *(f"{kind} {_name(kind)}" for kind in (*_KINDS, *_ALONE)),
    *(f"repeated {kind} many_{_name(kind)}" for kind in _KINDS),
    *(f"map<{pair}> map_{number}" for number, pair in enumerate(_MAPS)),
    "optional string maybe_text",
    "optional int32 maybe_number",
]
_BODY = "\n".join(f"{field} = {number};" for number, field in enumerate(FIELDS, 10))
_POLICY = "callers: CALLER_PUBLIC rate: RATE_CLASS_READ deadline: {seconds: 5}"
RPCS = {
    "PutEverything": ("Everything", "Thing", 'post: "/v1/everything" body: "*"'),
    "FindEverything": ("Everything", "Thing", 'get: "/v1/everything"'),
    "GetThing": ("Thing", "Thing", 'get: "/v1/things/{thing_id}"'),
    "ListThings": ("Nothing", "Thing", 'get: "/v1/things"'),
    "CountThings": ("Nothing", "Thing", 'get: "/v1/things:count"'),
    "EatThing": ("Thing", "Thing", 'post: "/v1/things/{thing_id}:eat" body: "*"'),
    "GetPart": ("Part", "Thing", 'get: "/v1/things/{thing_id}/parts/{part_id}"'),
    "GetFirst": ("Part", "Thing", 'get: "/v1/things/first/parts/{part_id}"'),
    "UpdateThing": ("Change", "Thing", 'patch: "/v1/things/{thing.thing_id}" body: "thing"'),
}
_SERVICE = "\n".join(
    f"rpc {name}({asked}) returns ({answered}) {{ option (google.api.http) = {{{route}}};"
    + (" option idempotency_level = NO_SIDE_EFFECTS;" if "get:" in route else "")
    + f" option (weft.api.v1.method) = {{{_POLICY}"
    + ("" if "get:" in route else ' key: IDEMPOTENCY_KEY_NONE keyless_because: "nothing is kept"')
    + "}; }"
    for name, (asked, answered, route) in RPCS.items()
)
PROTO = f"""
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/rpc/error_details.proto";
import "weft/api/v1/error_reason.proto";
import "weft/api/v1/plan.proto";
enum Colour {{ NONE = 0; RED = 1; DARK_BLUE = 2; }}
message Nothing {{}}
message Thing {{ string thing_id = 1; string title = 2; string cursor = 3; }}
message Part {{ string thing_id = 1; string part_id = 2; }}
message Change {{ Thing thing = 1; google.protobuf.FieldMask update_mask = 2; }}
message Inner {{ string text = 1; int32 line_2 = 2; Inner inner = 3; repeated Inner inners = 4; bool is_set = 5; }}
message Everything {{
oneof choice {{ string chosen_text = 1; int32 chosen_number = 2; Inner chosen_inner = 3; }}
{_BODY}
}}
service LabService {{ {_SERVICE} }}
"""


class Laboratory:
    """The edge, and what came through it."""

    def __init__(self, url: str, upstream: Upstream, contract: Contract) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        self._plain = HTTPConnection(url.partition("//")[2], timeout=30)
        self._upstream = upstream
        self.everything: type[Message] = message_factory.GetMessageClass(
            contract.pool.FindMessageTypeByName("weft.lab.v1.Everything")
        )

    def ask(self, method: str, path: str, **arguments: Any) -> tuple[httpx.Response, str, Message | None]:
        """The answer, and which RPC came to the service with what, if any did."""
        return self._arrived(lambda: self.http.request(method, path, **arguments))

    def ask_often(
        self, method: str, target: str, body: bytes | None = None
    ) -> tuple[httpx.Response, str, Message | None]:
        """The same for ten thousand requests, with a client that costs half; a body is JSON."""

        def ask() -> httpx.Response:
            answer = self._answer(method, target, body)
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())

        return self._arrived(ask)

    def _answer(self, method: str, target: str, body: bytes | None) -> HTTPResponse:
        headers = {} if body is None else {"content-type": "application/json"}
        used = self._plain.sock is not None
        try:
            self._plain.request(method, target, body, headers)
            return self._plain.getresponse()
        except (RemoteDisconnected, ConnectionError):
            # One that has been used may be closed by either side at any time (RFC 9112, 9.3.1).
            self._plain.close()
            if not used:
                raise
        self._plain.request(method, target, body, headers)
        return self._plain.getresponse()

    def _arrived(self, ask: Callable[[], httpx.Response]) -> tuple[httpx.Response, str, Message | None]:
        before = len(self._upstream.calls)
        response = ask()
        if len(self._upstream.calls) == before:
            return response, "", None
        reached, request, _ = self._upstream.last
        return response, reached.name, request


@contextmanager
def laboratory(folder: Path) -> Iterator[Laboratory]:
    """An edge before the contract, without limits."""
    descriptors = compiled.descriptors(PROTO)
    (folder / "lab.binpb").write_bytes(descriptors.SerializeToString())
    contract = Contract(descriptors)
    with Upstream(contract, {"keys": []}) as upstream:
        http, metrics, jwks = free_ports(3)
        deployment = envoy.Deployment(
            folder=folder,
            services={"lab": (upstream.address,)},
            http_port=http,
            https_port=0,
            metrics_port=metrics,
            jwks_port=jwks,
            descriptors=folder / "lab.binpb",
            access_log=folder / "access.log",
            refusals=1_000_000,
        )
        with running(contract, deployment, change=_unlimited):
            until(lambda: stat(deployment, "cluster.lab.membership_healthy"), "the service is healthy")
            made = Laboratory(f"http://127.0.0.1:{http}", upstream, contract)
            with made.http, closing(made._plain):
                yield made


def _unlimited(config: Any) -> None:
    for listener in config["static_resources"]["listeners"]:
        chain = listener["filter_chains"][0]
        chain["filters"] = chain["filters"][-1:]  # what comes before the manager counts connections
        manager = chain["filters"][0]["typed_config"]
        manager["http_filters"] = [one for one in manager["http_filters"] if "ratelimit" not in one["name"]]
