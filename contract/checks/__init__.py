"""What every contract of this project keeps to, beyond policies that are valid. `make lint` prints every fault at once.

methods    names, verbs, routes, pages and etags
requests   the bounds of everything that a caller sends
fields     REQUIRED, and what is personal or secret
comments   whole sentences; reasons that are used
audit      mutations that write to the audit trail
"""

from collections.abc import Iterator

from contract import Contract, rules
from contract.checks import audit, comments, fields, messages, methods, requests


def faults(read: Contract) -> list[str]:
    """A sentence for each fault, with what to write; empty where there is none."""
    checks = (methods, requests, fields, comments, audit)
    return [*_untranslated(read), *(sentence for check in checks for sentence in check.faults(read))]


def _untranslated(read: Contract) -> Iterator[str]:
    """A sentence for each field whose rules the OpenAPI document would lose."""
    names = [name for method in read.methods for name in (method.input, method.output)]
    for message in messages.reachable(read, names):
        for field in message.fields:
            if said := rules.untranslated(field):
                yield f"{field.full_name}: {said}"
