"""A process's settings, from the environment (`WEFT_…`). Every default is the safe choice."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and what to write."""


class Settings(BaseSettings):
    """The settings of a service. Addresses are `host:port`; times are seconds."""

    model_config = SettingsConfigDict(env_prefix="WEFT_", frozen=True, extra="ignore")

    listen: str = "127.0.0.1:0"
    metrics_listen: str = ""
    database_url: SecretStr
    database_prefix: str = Field("weft", pattern=r"^[a-z][a-z0-9_]{0,30}$")
    serving_role: str = ""
    pool_size: int = Field(8, ge=1, le=100)
    redis_url: SecretStr = SecretStr("")
    otlp_endpoint: str = ""
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    peers: dict[str, list[str]] = {}
    tls: Literal["on", "off"] = "on"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    internal_callers: list[str] = []
    data_keys: dict[str, SecretStr] = Field(min_length=1)
    encrypt_with: str = ""
    issuer: str = "https://weft.local"
    passkey_rp_id: str = ""
    passkey_origins: list[str] = []
    smtp_url: SecretStr = SecretStr("")
    mail_from: str = "Weft <no-reply@weft.local>"
    sms_url: SecretStr = SecretStr("")
    sms_from: str = ""
    stripe_key: SecretStr = SecretStr("")
    stripe_webhook_secret: SecretStr = SecretStr("")
    stripe_url: str = "https://api.stripe.com"
    serve: bool = True
    work: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_concurrent_calls: int = Field(256, ge=1)
    max_streams_per_caller: int = Field(16, ge=1)
    max_streams_per_partner: int = Field(64, ge=1)
    drain: float = Field(2.5, ge=0)
    stop_grace: float = Field(5.0, ge=0)
    mails_of_network: int = Field(100, ge=100)
    texts_of_network: int = Field(50, ge=1)
    operator_email: str = ""
    operator_password: SecretStr = SecretStr("")
    partner_client_id: str = ""
    partner_client_secret: SecretStr = SecretStr("")
    record_reasons: Path | None = None

    @property
    def rp_id(self) -> str:
        """The RP ID of passkeys: the host of the edge's URL, unless another is set."""
        return self.passkey_rp_id or urlsplit(self.issuer).hostname or ""

    @property
    def rp_origins(self) -> list[str]:
        """The origins whose pages may use passkeys: that of the edge's URL, unless others are set."""
        url = urlsplit(self.issuer)
        return self.passkey_origins or [f"{url.scheme}://{url.netloc}"]


def read(**overrides: Any) -> Settings:
    """The settings of this process. Raises `SettingsError`, with one message for all faults."""
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        faults = "; ".join(f"WEFT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg'].lower()}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {faults}.") from None
    if settings.tls == "on" and not (settings.tls_cert and settings.tls_key and settings.tls_ca):
        raise SettingsError(
            "Set WEFT_TLS_CERT, WEFT_TLS_KEY and WEFT_TLS_CA, or WEFT_TLS=off where nothing is at stake."
        )
    return settings
