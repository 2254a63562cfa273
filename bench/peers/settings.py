"""A peer's settings, from the environment (`PEER_…`)."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Addresses, keys and sizes. `pool_size` is per process; `token_cache` keeps verified tokens, as Weft does."""

    model_config = SettingsConfigDict(env_prefix="PEER_", frozen=True)

    listen: str = "127.0.0.1:0"
    database_url: str
    jwt_public_key: str
    issuer: str = "https://weft.local"
    otlp_endpoint: str = ""
    trace_ratio: float = 1.0
    pool_size: int = 16
    token_cache: bool = True
    users_url: str = ""
    users_token: str = ""
