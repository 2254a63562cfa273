"""What every contract of this project keeps to, beyond policies that are valid. `make lint` prints every fault at once.

methods    names, verbs, routes, pages and etags
requests   the bounds of everything that a caller sends
fields     REQUIRED, and what is personal or secret
comments   whole sentences; reasons that are used
audit      mutations that write to the audit trail
"""

from contract import Contract, rules
from contract.checks import audit, comments, fields, messages, methods, requests


def faults(read: Contract) -> list[str]:
    """A sentence for each fault, with what to write; empty where there is none."""
    unknown = _untranslated(read)
    # These read the rules of fields; with one that is not known they would stop.
    checks = (requests, comments, audit) if unknown else (methods, requests, fields, comments, audit)
    return [*unknown, *(sentence for check in checks for sentence in check.faults(read))]


def _untranslated(read: Contract) -> list[str]:
    """A sentence for each field whose rules the OpenAPI document would lose."""
    found = []
    for message in messages.reachable(
        read, [name for method in read.methods for name in (method.input, method.output)]
    ):
        for field in message.fields:
            try:
                rules.keywords(rules.rules(field), field.enum_type)
                rules.keywords(rules.items(field), field.enum_type)
            except rules.UntranslatedRule as error:
                found.append(f"{field.full_name}: {error}")
    return found
