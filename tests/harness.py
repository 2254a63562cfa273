"""Runs a service in the test's own process: real sockets, mTLS, the whole chain, a database of its own."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from joserfc import jwt
from joserfc.jwk import ECKey

import contract
from chassis import settings as settings_module
from chassis.app import App
from chassis.clock import Clock
from chassis.security import revocations
from chassis.telemetry.tracing import Tracer
from deploy.local.state.certificates import Certificates

ISSUER = "https://weft.test"
_CONTRACT = contract.load()
DATA_KEY = base64.b64encode(b"k" * 32).decode()


def package(service: str) -> str:
    """Where a service is: `probe` is the one that the chassis's tests serve."""
    return "tests.chassis.probe" if service == "probe" else f"services.{service}"


class Issuer:
    """Signs access tokens as the user service does."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "test"}, auto_kid=False)

    async def jwks(self) -> str:
        """The public keys."""
        return json.dumps({"keys": [self._key.as_dict(private=False)]})

    def token(self, sub: str, scopes: str = "", *, lifetime: float = 900, **claims: Any) -> str:
        """An `authorization` header. More claims by name: roles, client_id, partner, plan, mode, sid."""
        body = {
            "iss": ISSUER, "aud": "weft", "sub": sub, "scope": scopes, "iat": int(time.time()),
            "exp": int(time.time() + lifetime), "plan": "premium", "mode": "LIVE",
            "auth_time": int(time.time()), **claims,
        }  # fmt: skip
        return "Bearer " + jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "test"}, body, self._key)

    def user(
        self, sub: str, scopes: str = "users.read users.write orders.read orders.write payments.read inbox.read"
    ) -> str:
        """A signed-in customer."""
        return self.token(sub, scopes, roles=["customer"], sid="ses_test")

    def operator(self, sub: str, scopes: str) -> str:
        """A signed-in operator."""
        return self.token(sub, scopes, roles=["operator", "admin"], sid="ses_test")

    def partner(
        self, partner: str, scopes: str, client: str = "cli_01k00000000000000000000000", mode: str = "LIVE"
    ) -> str:
        """A partner's client."""
        return self.token(client, scopes, client_id=client, partner=partner, mode=mode)

    def member(self, partner: str, user: str, role: str, scopes: str, mode: str = "LIVE") -> str:
        """One of a partner's people, who acts for it."""
        named = {"partner": partner, "mode": mode, "member": f"mbr{user[3:]}", "member_role": role, "sid": "ses_test"}
        return self.token(user, scopes, **named)


@dataclass(frozen=True)
class Running:
    """A running service: its app, its address, and a channel with the `internal` identity's certificate."""

    app: App
    address: str
    channel: grpc.aio.Channel


@dataclass(frozen=True)
class Refusal:
    """What a failed call carries: gRPC code, reason, domain, metadata, violations and seconds to wait."""

    code: grpc.StatusCode
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: dict[str, str]
    retry_after: float | None


def refusal(error: grpc.RpcError) -> Refusal:
    """The typed details of a gRPC error."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    waits = None
    for detail in status.details:
        detail.Unpack(info), detail.Unpack(bad)
        if detail.Unpack(retry):
            waits = retry.retry_delay.ToTimedelta().total_seconds()
    violations = {v.field: v.description for v in bad.field_violations}
    return Refusal(error.code(), info.reason, info.domain, dict(info.metadata), violations, waits)


async def reason_of(call: Awaitable[Any]) -> str:
    """Why a call was refused; empty if it was answered."""
    try:
        await call
    except grpc.RpcError as error:
        return refusal(error).reason
    return ""


def assert_refusal(
    found: Refusal | grpc.RpcError, reason: str, /, violations: Mapping[str, str] | None = None, **metadata: str
) -> Refusal:
    """Hold a refusal against the contract, which gives its reason a gRPC code, and against what is named.

    `violations` has all fields that the refusal names, in any order, each with words of its description (`""`: any).
    Metadata, where any are named, must be exactly these.
    """
    if isinstance(found, grpc.RpcError):
        found = refusal(found)
    declared = _CONTRACT.reasons.get((found.domain, found.reason))
    assert declared is not None, f"{found} has no reason of the contract"
    assert (found.reason, found.code.value[0]) == (reason, declared.code), found
    words = violations or {}
    assert found.violations.keys() == words.keys(), found
    assert all(words[field] in description for field, description in found.violations.items()), found
    assert not metadata or found.metadata == metadata, found
    return found


async def assert_refused(
    call: Awaitable[Any], reason: str, /, violations: Mapping[str, str] | None = None, **metadata: str
) -> Refusal:
    """Await a call that must be refused for `reason`, as `assert_refusal` judges it."""
    try:
        reply = await call
    except grpc.RpcError as error:
        return assert_refusal(error, reason, violations, **metadata)
    raise AssertionError(f"the call was answered: {reply!r}")


async def in_time(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """The replies to calls that are made at once, without those for which a slow machine left no time."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    replies = []
    for outcome in outcomes:
        if isinstance(outcome, grpc.RpcError) and outcome.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            continue
        if isinstance(outcome, BaseException):
            raise outcome
        replies.append(outcome)
    return replies


@dataclass(frozen=True)
class Harness:
    """Starts services; `async with harness.running("order") as order:`."""

    postgres_url: str
    valkey_url: str
    certificates: Certificates
    issuer: Issuer
    service_database: Callable[[str], str]

    def settings(self, service: str, **more: Any) -> settings_module.Settings:
        """The settings of a service in the tests; `more` overrides."""
        certificates = self.certificates
        return settings_module.read(**{
            "environment": "development", "listen": "127.0.0.1:0", "database_url": self.postgres_url, "redis_url": self.valkey_url,
            "pool_size": 4, "data_keys": {"k1": DATA_KEY}, "issuer": ISSUER, "internal_callers": ["internal"],
            "tls_cert": certificates.certificate(service), "tls_key": certificates.key(service), "tls_ca": certificates.ca,
            "smtp_url": "smtp://127.0.0.1:1", "drain": 0, "stop_grace": 1, **more,
        })  # fmt: skip

    def app(
        self,
        service: str,
        clock: Clock | None = None,
        prefix: str | None = None,
        tracer: Tracer | None = None,
        **more: Any,
    ) -> App:
        """A service's app on a fresh clone of its migrated database (or on that of `prefix`), not started."""
        models = import_module(f"{package(service)}.tables")
        return App(
            service,
            self.settings(service, database_prefix=prefix or self.service_database(service), **more),
            metadata=models.metadata,
            migrations=Path(str(models.__file__)).parent / "migrations",
            clock=clock,
            tracer=tracer,
        )

    @asynccontextmanager
    async def running(
        self,
        service: str,
        build: Callable[[App], Awaitable[None]] | None = None,
        clock: Clock | None = None,
        prefix: str | None = None,
        tracer: Tracer | None = None,
        fetches_keys: bool = False,
        **more: Any,
    ) -> AsyncIterator[Running]:
        """A service that serves; by default with its own `build`, and the issuer's keys at hand. `more` are settings."""
        app = self.app(service, clock, prefix, tracer, **more)
        if not fetches_keys:
            app.tokens.use(self.issuer.jwks)
            app.revocations.use(revocations.none)
        await (build or import_module(f"{package(service)}.__main__").build)(app)
        port = await app.start()
        channel = self.channel(service, f"127.0.0.1:{port}")
        try:
            yield Running(app, f"127.0.0.1:{port}", channel)
        finally:
            await channel.close()
            await app.stop()

    def channel(self, service: str, address: str, identity: str = "internal") -> grpc.aio.Channel:
        """A channel to a service with the certificate of `identity`."""
        certificates = self.certificates
        credentials = grpc.ssl_channel_credentials(
            certificates.ca.read_bytes(),
            certificates.key(identity).read_bytes(),
            certificates.certificate(identity).read_bytes(),
        )
        options = [("grpc.ssl_target_name_override", f"{service}.weft.internal")]
        return grpc.aio.secure_channel(address, credentials, options=options)
