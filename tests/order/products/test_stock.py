"""Stock is adjusted by hand."""

import asyncio

from weft.order.v1.product_service_pb2 import (
    ListStockAdjustmentsRequest,
)

from tests.harness import assert_refused, reason_of
from tests.order.products.calls import adjust
from tests.order.shop import Shop, metadata


async def test_stock_is_adjusted_and_never_falls_below_zero(quiet_shop: Shop) -> None:
    product_id = await quiet_shop.product(stock=3)
    assert (await adjust(quiet_shop, product_id, 4, key="k")).stock == 7
    assert (await adjust(quiet_shop, product_id, 4, key="k")).stock == 7, "the same key adds once"
    await assert_refused(
        adjust(quiet_shop, product_id, -8), "OUT_OF_STOCK", product_id=product_id, requested="8", available="7"
    )
    moved = await adjust(quiet_shop, product_id, -7, reason="broken in the warehouse")
    assert (moved.stock, moved.etag) == (0, "1"), "stock does not change the etag"
    request = ListStockAdjustmentsRequest(product_id=product_id, page_size=1)
    made = []
    while not made or request.page_token:
        page = await quiet_shop.products.ListStockAdjustments(request, metadata=metadata(quiet_shop.operator))
        made += [(each.delta, each.stock, each.reason, each.actor) for each in page.adjustments]
        request.page_token = page.next_page_token
    assert made == [
        (-7, 0, "broken in the warehouse", quiet_shop.operator_id),
        (4, 7, "counted", quiet_shop.operator_id),
    ]
    await adjust(quiet_shop, product_id, 3)
    at_once = await asyncio.gather(*(reason_of(adjust(quiet_shop, product_id, -1)) for _ in range(5)))
    assert sorted(at_once) == ["", "", "", "OUT_OF_STOCK", "OUT_OF_STOCK"]
