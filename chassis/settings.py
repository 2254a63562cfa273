"""A process's settings, from the environment (`WEFT_…`). Every default is the safe choice."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pydantic_settings
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.environments.rule import refusals, unknown_cleartext
from chassis.environments.services import RULES
from chassis.faults.catalogue import OF_PROCESS

SECRETS_FOLDER = "WEFT_SECRETS_FOLDER"
"""The variable that names a folder of secrets, one in each file, as Compose and Kubernetes mount them."""

File = Annotated[Path | None, BeforeValidator(lambda value: value or None)]
"""An empty variable names no file: `Path("")` would be the working directory."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and what to write."""


class Settings(BaseSettings):
    """The settings of a service. Addresses are `host:port`; times are seconds."""

    model_config = SettingsConfigDict(env_prefix="WEFT_", frozen=True, extra="ignore")

    environment: Literal["production", "staging", "development"] = Field(
        "production", description="Production and staging refuse what is for development: see below."
    )
    version: str = Field("unknown", description="The release, as telemetry names it; images set it.")
    listen: str = Field("127.0.0.1:0", description="Where the service listens for gRPC; port 0 takes a free one.")
    metrics_listen: str = Field(
        "",
        description="Where `/metrics`, `/livez` and `/readyz` are served in plaintext; empty for nowhere. Keep it from strangers.",
    )
    database_url: SecretStr = Field(
        description="The PostgreSQL server and the role, `postgresql://role:password@host:port`. `migrate` needs the owner's."
    )
    database_prefix: str = Field(
        "weft", description="What the databases' names begin with: `weft_order`.", pattern=r"^[a-z][a-z0-9_]{0,30}$"
    )
    serving_role: str = Field(
        "", description="`migrate`: the role that serves, which is granted what it needs; empty where it is the owner."
    )
    pool_size: int = Field(8, description="Database connections of a process.", ge=1, le=100)
    redis_url: SecretStr = Field(
        SecretStr(""), description="The Valkey server, `redis://:password@host:port`; empty for no cache."
    )
    otlp_endpoint: str = Field("", description="Where spans go, OTLP over gRPC, `http://host:port`; empty for nowhere.")
    otlp_logs_endpoint: str = Field(
        "",
        description="Where log lines go beside standard output, OTLP over gRPC, `http://host:port`; empty for nowhere.",
    )
    trace_ratio: float = Field(
        1.0, description="Share of calls that are traced where the caller did not decide, 0 to 1.", ge=0, le=1
    )
    peers: dict[str, list[str]] = Field(
        {}, description='Addresses of each service, as JSON: `{"user": ["dns:///user:50051"]}`.'
    )
    tls: Literal["on", "off"] = Field(
        "on", description="`off` serves and calls without TLS: where nothing is at stake."
    )
    tls_cert: File = Field(None, description="The process's certificate, as PEM; read again when it is replaced.")
    tls_key: File = Field(None, description="The certificate's key, as PEM.")
    tls_ca: File = Field(None, description="The authorities of the mesh, as PEM.")
    internal_callers: list[str] = Field(
        [], description="Names of certificates, beside those of the contract, that may make internal calls, as JSON."
    )
    cleartext_allowed: list[str] = Field(
        [],
        description="Settings whose connections may be without verified TLS in staging and production, as JSON: where the network itself encrypts.",
    )
    data_keys: dict[str, SecretStr] = Field(
        description="The data keys by id, as JSON; each is 32 bytes in base64. The newest comes last.", min_length=1
    )
    encrypt_with: str = Field("", description="The id of the data key that encrypts; empty for the newest.")
    issuer: str = Field(
        "https://weft.local", description="The issuer of tokens: the URL under which callers reach the edge."
    )
    passkey_rp_id: str = Field("", description="The RP ID of passkeys; empty for the issuer's host.")
    passkey_origins: list[str] = Field(
        [], description="Origins whose pages may use passkeys, as JSON; empty for the issuer's."
    )
    smtp_url: SecretStr = Field(
        SecretStr(""), description="The mail server, `smtp://user:password@host:port`; empty for none, so mails wait."
    )
    smtp_fallback_url: SecretStr = Field(
        SecretStr(""), description="A second mail server, for mails that the first has surely not sent; empty for none."
    )
    mail_rate: float = Field(
        0.0, description="Mails a second that a replica hands to a server; 0 for as many as it takes.", ge=0
    )
    mail_from: str = Field("Weft <no-reply@weft.local>", description="The sender of mails.")
    dkim_key: SecretStr = Field(
        SecretStr(""),
        description="The key that mails are signed with (DKIM), RSA or Ed25519, as PEM; empty for no signature.",
    )
    dkim_selector: str = Field("", description="The selector of its record, `<selector>._domainkey.<domain>`.")
    sms_url: SecretStr = Field(
        SecretStr(""), description="Twilio's API or one that speaks it, `https://account:token@host`; empty for none."
    )
    sms_rate: float = Field(
        0.0, description="Texts a second that a replica hands to a provider; 0 for as many as it takes.", ge=0
    )
    sms_from: str = Field("", description="The number that texts come from, E.164.")
    sms_fallback_url: SecretStr = Field(
        SecretStr(""), description="A second provider, for texts that the first has surely not sent; empty for none."
    )
    sms_fallback_from: str = Field("", description="The number that its texts come from, E.164.")
    sendgrid_event_keys: list[str] = Field(
        [],
        description="SendGrid's public keys, with which it signs events of mails, base64, as JSON; empty: none are received.",
    )
    vapid_key: SecretStr = Field(
        SecretStr(""),
        description="The key of push messages (VAPID): P-256, 32 bytes in base64url; empty for none.",
    )
    order_expiry: int = Field(
        1800, description="Seconds that an order waits for its payment before it expires.", ge=60, le=86_400
    )
    stripe_key: SecretStr = Field(
        SecretStr(""),
        description="Stripe's secret key; empty: orders in LIVE are paid in the sandbox, see WEFT_SANDBOX_FOR_LIVE.",
    )
    sandbox_for_live: bool = Field(
        False, description="Orders in LIVE may be paid in the sandbox, where no money moves, also in production."
    )
    stripe_webhook_secret: SecretStr = Field(SecretStr(""), description="The secret that Stripe signs its events with.")
    stripe_url: str = Field("https://api.stripe.com", description="Stripe's API.")
    webhook_allowed: list[str] = Field(
        [], description="Networks that webhooks may reach though they are not public, as JSON; for development."
    )
    webhook_timeout: float = Field(
        15.0, description="Seconds that an endpoint of webhooks has for its answer.", gt=0, le=15
    )
    webhook_time_scale: float = Field(
        1.0, description="Tests: what the waits between attempts of webhooks are multiplied by.", gt=0, le=1
    )
    serve: bool = Field(True, description="Whether the process serves calls.")
    work: bool = Field(True, description="Whether the process works on queues and periodic jobs.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )
    max_concurrent_calls: int = Field(256, description="Calls in progress above which a process sheds load.", ge=1)
    max_streams_per_caller: int = Field(16, description="Open streams of a caller in a process.", ge=1)
    max_streams_per_partner: int = Field(64, description="Open streams of a partner in a process.", ge=1)
    drain: float = Field(
        2.5, description="Seconds, at most, that a stopping process serves on until its callers have left.", ge=0
    )
    stop_grace: float = Field(
        5.0, description="Seconds, at most, that a stopping process gives its calls and jobs.", ge=0
    )
    mails_of_network: int = Field(
        100, description="Mails an hour that one network may have sent to addresses that are not verified.", ge=100
    )
    texts_of_network: int = Field(
        50, description="Text messages a day that one network may have sent to verify phone numbers.", ge=1
    )
    operator_email: str = Field("", description="`bootstrap`: the first operator's address.")
    operator_password: SecretStr = Field(SecretStr(""), description="`bootstrap`: the first operator's password.")
    partner_client_id: str = Field(
        "", description="`bootstrap`: the id of a demonstration partner's client; empty for none."
    )
    partner_client_secret: SecretStr = Field(SecretStr(""), description="`bootstrap`: the secret of that client.")
    faults: list[str] = Field(
        [],
        description="Failure switches that are on, as JSON (docs/faults.md); production refuses those that it does not allow.",
    )
    faults_file: File = Field(
        None, description="A file of failure switches that are on, one name a line, read again all the time."
    )
    faults_allowed: list[str] = Field([], description="Failure switches that may be on in production, as JSON.")
    record_reasons: File = Field(None, description="Tests: a file to which every refusal's reason is appended.")

    @property
    def rp_id(self) -> str:
        """The RP ID of passkeys: the host of the edge's URL, unless another is set."""
        return self.passkey_rp_id or urlsplit(self.issuer).hostname or ""

    @property
    def rp_origins(self) -> list[str]:
        """The origins whose pages may use passkeys: that of the edge's URL, unless others are set."""
        url = urlsplit(self.issuer)
        return self.passkey_origins or [f"{url.scheme}://{url.netloc}"]


class _ForMigration(Settings):
    """`migrate` alters tables: it reads nobody's data and calls nobody but the database, so it holds no keys."""

    data_keys: dict[str, SecretStr] = {}


def read(*, migrates: bool = False, **overrides: Any) -> Settings:
    """The settings of this process: a variable, or a file of its name in `WEFT_SECRETS_FOLDER`, such as `weft_data_keys`.

    `migrates`: neither data keys nor certificates are needed. Raises `SettingsError`, with one message for all faults.
    """
    secrets = os.environ.get(SECRETS_FOLDER) or None
    if secrets and not Path(secrets).is_dir():
        raise SettingsError(f"{SECRETS_FOLDER}: there is no folder {secrets}; mount the secrets there, or unset it.")
    try:
        settings = (_ForMigration if migrates else Settings)(**{"_secrets_dir": secrets, **overrides})
    except ValidationError as error:
        faults = "; ".join(f"WEFT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg'].lower()}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {faults}.") from None
    except pydantic_settings.SettingsError as error:  # which names the field, and has nothing of its value
        raise SettingsError(f"Settings are wrong: {error}; write JSON.") from None
    if settings.tls == "on" and not migrates and not (settings.tls_cert and settings.tls_key and settings.tls_ca):
        loosened = ", or WEFT_TLS=off where nothing is at stake" if settings.environment == "development" else ""
        raise SettingsError(f"Set WEFT_TLS_CERT, WEFT_TLS_KEY and WEFT_TLS_CA{loosened}.")
    if unknown := sorted({*settings.faults, *settings.faults_allowed} - OF_PROCESS):
        raise SettingsError(
            f"WEFT_FAULTS: there is no failure switch {unknown[0]!r}; use {', '.join(sorted(OF_PROCESS))}."
        )
    if refused := unknown_cleartext(settings.cleartext_allowed) or refusals(RULES, settings):
        raise SettingsError(refused)
    return settings
