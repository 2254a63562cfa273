"""One rule for one setting, and what a rule's sentence looks like."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

PRODUCTION = ("production",)
STAGED = ("staging", "production")
"""Where something is at stake: staging has what production has, and finds what it would refuse."""

CLEARTEXT = (
    "WEFT_DATABASE_URL",
    "WEFT_REDIS_URL",
    "WEFT_SMTP_URL",
    "WEFT_SMTP_FALLBACK_URL",
    "WEFT_SMS_URL",
    "WEFT_SMS_FALLBACK_URL",
    "WEFT_STRIPE_URL",
    "WEFT_EDGE_HTTP_LISTEN",
)
"""What `WEFT_CLEARTEXT_ALLOWED` may name: connections that may be without TLS, where the network itself encrypts."""
CLEARTEXT_ALLOWED = "where the network itself encrypts, name it in WEFT_CLEARTEXT_ALLOWED"


@dataclass(frozen=True)
class Rule:
    """What of a setting is refused in some environments."""

    setting: str
    environments: tuple[str, ...]
    is_broken: Callable[[Any], bool]
    """Of the settings of a process, whose module imports the rules, so that they cannot import it."""
    cause: str
    remedy: str
    """What is right there: never to call it another environment."""

    @property
    def sentence(self) -> str:
        """Cause and remedy."""
        return f"{self.setting}: {self.cause}; {self.remedy}."


def refusals(rules: Iterable[Rule], settings: Any) -> str:
    """A sentence for each rule that the settings break in their environment; empty where there is none."""
    return " ".join(
        rule.sentence for rule in rules if settings.environment in rule.environments and rule.is_broken(settings)
    )


def unknown_cleartext(names: Iterable[str]) -> str:
    """What is wrong with `WEFT_CLEARTEXT_ALLOWED`; empty where nothing is."""
    if unknown := sorted(set(names) - set(CLEARTEXT)):
        return f"WEFT_CLEARTEXT_ALLOWED: {unknown[0]!r} is none of {', '.join(CLEARTEXT)}; name one of these."
    return ""
