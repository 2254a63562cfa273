"""What every contract of this project keeps to, beyond policies that are valid. `make lint` prints every fault at once.

methods    names, verbs, routes, pages and etags
requests   the bounds of everything that a caller sends
fields     REQUIRED, and what is personal or secret
comments   whole sentences; reasons that are used
audit      mutations that write to the audit trail
"""

from contract import Contract
from contract.checks import audit, comments, fields, methods, requests


def faults(read: Contract) -> list[str]:
    """A sentence for each fault, with what to write; empty where there is none."""
    return [sentence for check in (methods, requests, fields, comments, audit) for sentence in check.faults(read)]
