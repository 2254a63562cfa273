"""In a package that has an audit trail, every mutation writes to it, or says why not."""

import re
from collections.abc import Iterator

from contract import Contract

_ACTION = re.compile(r"^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$")
_SENTENCES = re.compile(r"^[A-Z0-9`][\s\S]*\.$")


def faults(read: Contract) -> Iterator[str]:
    """A sentence for each fault, with what to write."""
    audited = {method.package for method in read.methods if method.audit}
    for method in read.methods:
        for action in method.audit:
            if not _ACTION.match(action):
                yield f"{method.full_name} audits {action!r}: write noun and past participle, such as `partner.suspended`."
        if method.audit and method.unaudited_because:
            yield f"{method.full_name} is audited and says why it is not: drop `audit` or `unaudited_because`."
        if method.unaudited_because and not _SENTENCES.match(method.unaudited_because):
            yield f"{method.full_name} says {method.unaudited_because!r} under `unaudited_because`: write a whole sentence."
        silent = not method.audit and not method.unaudited_because and not method.read_only
        if silent and method.package in audited:
            yield (
                f'{method.full_name} is a mutation that is not audited: write `audit: ["thing.changed"]` and record it in the '
                "transaction of the change, or say why not under `unaudited_because`."
            )
