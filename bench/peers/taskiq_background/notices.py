"""What customers are told: a line in the inbox, and a mail where the event is worth one."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from bench.peers.database import Sessions
from bench.peers.taskiq_background.rendering import block
from bench.peers.taskiq_background.tables import Delivery, Notice
from chassis import ids

MAILED = frozenset({"order.confirmed", "payment.failed"})


async def notify(writes: Sessions, event: dict[str, Any]) -> bool:
    """Writes the notice, and the mail that is to be sent: whether there is one. An event that comes again adds nothing."""
    kind, now = event["type"], datetime.now(UTC)
    data = {"order_id": event["aggregate_id"], "total": event["total"]}
    common = {"event_id": event["event_id"], "user_id": event["user_id"], "type": kind, "create_time": now}
    notice = {"notice_id": ids.new("ntf"), "title": block(kind, "title", data), "body": block(kind, "body", data)}
    async with writes.begin() as session:
        await session.execute(insert(Notice).values({**common, **notice}).on_conflict_do_nothing())
        if kind not in MAILED:
            return False
        delivery = {"delivery_id": ids.new("dlv"), "data": data, "state": "QUEUED", "update_time": now}
        await session.execute(insert(Delivery).values({**common, **delivery}).on_conflict_do_nothing())
    return True
