"""The settings of the relay and of the workers, beside those of the peer."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where Valkey and the mail server are, with the passwords in the URL and beside the address."""

    model_config = SettingsConfigDict(env_prefix="PEER_", frozen=True)

    valkey_url: str
    mail_port: int
    mail_password: str
    mail_from: str = "Shop <no-reply@shop.example>"
