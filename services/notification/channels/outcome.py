"""What came of handing one message to a provider; the same for every channel."""

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What the provider did. REFUSED, UNREACHABLE and OPTED_OUT are final.

    UNREACHABLE: there is no such recipient. OPTED_OUT: the recipient wants no messages. LOST: the provider may have accepted
    the message, but its response never arrived. DEFERRED: it has surely not, and may later.
    """

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNREACHABLE = "UNREACHABLE"
    OPTED_OUT = "OPTED_OUT"
    DEFERRED = "DEFERRED"
    LOST = "LOST"


@dataclass(frozen=True)
class ProviderResponse:
    """`code` is the provider's own, 0 where no response arrived. `text` contains no address.

    `provider` is the name of who gave it. `provider_available` is false where the connection or the login failed, rather than this message. `submitted` is false
    where the provider was never given the message.
    """

    outcome: Outcome
    code: int
    text: str
    latency_ms: int
    provider_available: bool = True
    submitted: bool = True
    provider: str = ""
