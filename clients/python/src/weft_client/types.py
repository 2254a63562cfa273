"""The types that arguments accept: names of enums, and messages as dicts."""

from weft_client.generated.types import *  # noqa: F403
