"""The RPC of RevocationService."""

import math
from collections.abc import AsyncIterator
from contextlib import aclosing

from weft.user.v1 import revocation_service_pb2 as pb

from chassis.rpc.call import Call
from services.user.revocations.feed import RevocationFeed

_CLOSING_TIME_S = 2.0
"""Before the deadline, at which the stream would be broken off."""


class RevocationHandlers:
    """weft.user.v1.RevocationService."""

    def __init__(self, feed: RevocationFeed) -> None:
        self._feed = feed

    async def WatchRevocations(
        self, request: pb.WatchRevocationsRequest, call: Call
    ) -> AsyncIterator[pb.WatchRevocationsResponse]:
        """Until shortly before the deadline, or the end of the process."""
        async with aclosing(self._feed.follow(request.cursor)) as batches:
            async for batch in batches:
                message = pb.WatchRevocationsResponse(cursor=batch.cursor, complete=batch.complete)
                for subject, generation, expires_at in batch.revocations:
                    revocation = message.revocations.add(subject_id=subject, generation=generation)
                    revocation.expire_time.FromSeconds(math.ceil(expires_at))
                yield message
                if call.remaining() < _CLOSING_TIME_S:
                    return
