"""The maximum number of open streams of one caller, and of one partner with all its clients, in a process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from chassis.errors import TooManyStreams
from chassis.security.identity import Identity

RETRY_AFTER = timedelta(seconds=5)


class StreamQuota:
    """Counts open streams by subject and by partner."""

    def __init__(self, per_caller: int, per_partner: int) -> None:
        self._per_caller = per_caller
        self._per_partner = per_partner
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, caller: Identity) -> Iterator[None]:
        """Hold a place for an open stream. Raises `TooManyStreams`; other services of the mesh have no quota."""
        if caller.is_internal:
            yield
            return
        limits = {f"subject {caller.subject}": self._per_caller}
        if caller.partner_id:
            limits[f"partner {caller.partner_id}"] = self._per_partner
        for key, limit in limits.items():
            if self._open[key] >= limit:
                raise TooManyStreams(retry_after=RETRY_AFTER, limit=str(limit))
        self._open.update(limits.keys())
        try:
            yield
        finally:
            self._open.subtract(limits.keys())
            for key in limits:
                if not self._open[key]:
                    del self._open[key]
