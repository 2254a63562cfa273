"""The demo catalogue."""

from weft.order.v1.product_service_pb2 import ListProductsRequest

from services.order.bootstrap import CATALOGUE, bootstrap, product_id
from tests.order.shop import Shop


async def test_bootstrap_is_repeatable(quiet_shop: Shop) -> None:
    await bootstrap(quiet_shop.app)
    atlas = product_id(len(CATALOGUE) - 1)
    await quiet_shop.order((atlas, 2))
    await bootstrap(quiet_shop.app)
    listed = (await quiet_shop.products.ListProducts(ListProductsRequest())).products
    assert [p.product_id for p in listed] == [product_id(n) for n in reversed(range(len(CATALOGUE)))]
    assert {p.price.currency for p in listed} == {"EUR"}
    assert all(p.active for p in listed)
    assert await quiet_shop.stock(atlas) == 1, "what was sold stays sold"
