"""The RPCs of charges."""

from collections.abc import Sequence

from weft.order.v1 import charge_pb2
from weft.order.v1 import charge_service_pb2 as pb

from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.rpc.pagination import OLDEST, Pages
from chassis.rpc.requests import masks
from chassis.storage.database import Database
from chassis.times import timestamp
from chassis.values import currencies
from services.order.charges.current import CurrentCharges
from services.order.charges.repository import ChargeRepository
from services.order.domain.charges import Charge, ChargeKind, ChargeTable


class ChargeHandlers:
    """weft.order.v1.ChargeService."""

    def __init__(
        self, database: Database, charges: ChargeRepository, current: CurrentCharges, pages: Pages, clock: Clock
    ) -> None:
        self._database = database
        self._charges = charges
        self._current = current
        self._pages = pages
        self._clock = clock

    async def ListCharges(self, request: pb.ListChargesRequest, _: Call) -> pb.ListChargesResponse:
        table = await self._current.refresh()
        page = self._pages.read(request, {"list": "charges", "version": table.version}, start=OLDEST)
        found = [charge for charge in table.charges if charge.name > page.after]
        charges, token = self._pages.split(page, found, to_message, key="name")
        return pb.ListChargesResponse(
            charges=charges, next_page_token=token, etag=table.etag, total_size=len(table.charges)
        )

    async def UpdateCharges(self, request: pb.UpdateChargesRequest, call: Call) -> charge_pb2.ChargeTable:
        """Each update adds a version; of two at once, one is refused."""
        changes, now = _changes(request), self._clock.now()
        async with self._database.transaction() as tx:
            table = await self._charges.get(await self._current.get(), tx)
            changed = table.update(now, request.table.etag, changes)
            if changed is not table:
                await self._charges.insert(tx, changed, call.caller.actor, now)
        await self._current.refresh()
        return table_to_message(changed)


def _changes(request: pb.UpdateChargesRequest) -> dict[str, object]:
    """What an update changes, by the names of `ChargeTable`. Raises `RequestInvalid`."""
    fields = masks.fields(request, "table")
    return {"charges": _charges(request.table.charges)} if "charges" in fields else {}


def _charges(given: Sequence[charge_pb2.Charge]) -> list[Charge]:
    """Raises `RequestInvalid` for a second, different row of a country."""
    charges: dict[tuple[str, str, str], Charge] = {}
    violations = []
    for index, message in enumerate(given):
        charge = _charge(message)
        if charge.kind == ChargeKind.SHIPPING:
            currencies.require(f"table.charges[{index}].shipping.amount.currency", charge.currency)
        if charges.setdefault(charge.key, charge) != charge:
            violations.append((f"table.charges[{index}]", "differs from another row for its country"))
    if violations:
        raise RequestInvalid(violations=violations)
    return [*charges.values()]


def _charge(message: charge_pb2.Charge) -> Charge:
    region, title = message.region_code, message.title
    if message.WhichOneof("charged") == "tax":
        tax = message.tax
        return Charge(ChargeKind.TAX, region, title, rate=tax.rate_millionths, taxes_shipping=tax.taxes_shipping)
    amount, shipping = message.shipping.amount, message.shipping
    free = shipping.free_from_minor if shipping.HasField("free_from_minor") else None
    return Charge(ChargeKind.SHIPPING, region, title, amount.currency, amount.amount_minor, free)


def table_to_message(table: ChargeTable) -> charge_pb2.ChargeTable:
    """All charges of one version, with its etag."""
    return charge_pb2.ChargeTable(
        charges=[to_message(charge) for charge in table.charges],
        etag=table.etag,
        update_time=timestamp(table.updated_at),
    )


def to_message(charge: Charge) -> charge_pb2.Charge:
    """A tax or a shipping charge, by `kind`."""
    message = charge_pb2.Charge(region_code=charge.region, title=charge.title)
    if charge.kind == ChargeKind.TAX:
        message.tax.rate_millionths, message.tax.taxes_shipping = charge.rate, charge.taxes_shipping
        return message
    message.shipping.amount.amount_minor, message.shipping.amount.currency = charge.amount_minor, charge.currency
    if charge.free_from_minor is not None:
        message.shipping.free_from_minor = charge.free_from_minor
    return message
