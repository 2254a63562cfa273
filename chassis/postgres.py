"""The server that the services need. It imports nothing, for those who only ask."""

MIN_VERSION = 15
"""The oldest PostgreSQL that the tests run the whole mesh against, beside the embedded one (docs/running.md)."""


def fault(version: int) -> str:
    """What is wrong with a server (`server_version_num`); empty where it is not older than what the tests run against."""
    if version >= MIN_VERSION * 10_000:
        return ""
    return f"WEFT_DATABASE_URL: the server is PostgreSQL {version // 10_000}; name one of {MIN_VERSION} or newer."
