"""The order service as a process that kills itself at a step of a saga: `DIES="after capture 3" python -m tests.soak.sagas.dying_order`."""

import json
import os
import signal
from typing import Any

from chassis import process
from chassis.app import App
from chassis.queues.queue import Queue
from chassis.rpc.call import Call
from chassis.security import revocations
from services.order import tables
from services.order.__main__ import MIGRATIONS, build
from services.order.orders.repository import OrderRepository
from services.order.payments.gateways.sandbox import Sandbox
from services.order.payments.gateways.stripe import Stripe
from services.order.payments.provider_events import ProviderEventHandlers
from services.order.payments.repository import PaymentRepository

OWNERS: dict[str, Any] = {
    "insert": OrderRepository,
    "update": OrderRepository,
    "lock_units": OrderRepository,
    "remember": Call,
    "mark_contacted": PaymentRepository,
    "_intent": Stripe,
    "authorize": Stripe,
    "find": Stripe,
    "capture": Stripe,
    "refund": Stripe,
    "reverse": Stripe,
    "_store": ProviderEventHandlers,
    "finish": Queue,
}
STEPS = [f"{when} {name}" for name in OWNERS for when in ("before", "after")]
"""Around each call to the provider, and around each write: an `_intent` is created and not confirmed; what a call remembers is
the last of its transaction."""
PROVIDER_TIMEOUT_S = 1.0


def arm(when: str, name: str, count: int) -> None:
    """Have the process die before or after the `count`th call of a method."""
    owner, left = OWNERS[name], count
    if owner is Stripe and "WEFT_STRIPE_KEY" not in os.environ:
        owner = Sandbox
    method = getattr(owner, name)

    async def dies(*values: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left <= 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await method(*values, **named)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dies)


async def jwks() -> str:
    """The keys of whoever started the process."""
    return json.dumps(json.loads(os.environ["JWKS"]))


async def built(app: App) -> None:
    """The service's own `build`; tokens are checked against the keys at hand."""
    app.tokens.use(jwks)
    app.revocations.use(revocations.none)
    await build(app)


if __name__ == "__main__":
    if step := os.environ.get("DIES"):
        arm(*(part if not part.isdecimal() else int(part) for part in step.split()))  # type: ignore[arg-type]
    Stripe.__init__.__defaults__ = (PROVIDER_TIMEOUT_S,)  # type: ignore[misc]
    process.main("order", built, metadata=tables.metadata, migrations=MIGRATIONS)
