"""Numbers of orders: what is mistyped is never another order, and only its owner finds an order by its number."""

from itertools import combinations

import pytest
from weft.order.v1.order_service_pb2 import ListOrdersRequest

from chassis import ids
from chassis.errors import RequestInvalid
from services.order.domain import order_number
from tests.harness import assert_refused
from tests.order.shop import Shop, listed, metadata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def refused(text: str) -> bool:
    try:
        order_number.read(text, "order_number")
    except RequestInvalid:
        return True
    return False


def test_one_wrong_character_and_two_that_changed_places_are_noticed() -> None:
    number = order_number.new()
    bare = number.replace("-", "")
    assert [len(group) for group in number.split("-")] == [4, 4, 4]
    assert set(bare) <= set(ALPHABET)
    for place, right in enumerate(bare):
        for wrong in set(ALPHABET) - {right}:
            assert refused(bare[:place] + wrong + bare[place + 1 :])
    for one, other in combinations(range(12), 2):
        letters = [*bare]
        letters[one], letters[other] = letters[other], letters[one]
        assert bare[one] == bare[other] or refused("".join(letters))
    assert all(refused(text) for text in ("", bare[:-1], f"{bare}0", "ÄÖÜ", "0" * 11 + "U"))


def test_it_is_read_as_people_write_it() -> None:
    typed = {"0000-0000-0000": "oO00 ooOO 0000"}
    numbers = [order_number.new() for _ in range(200)]
    for number in numbers:
        letters = number.replace("0", "o").replace("1", "l")
        typed[number] = letters.lower().replace("-", " ")
    assert {order_number.read(text, "") for text in typed.values()} == typed.keys()
    assert len(set(numbers)) == 200


async def test_owners_and_operators_find_an_order_by_its_number(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ink = await quiet_shop.product()
    other = await quiet_shop.order((ink, 1))
    taken = iter([other.order_number])  # drawn once more by chance: the order gets another one
    draw = order_number.new
    monkeypatch.setattr(order_number, "new", lambda: next(taken, None) or draw())
    placed = await quiet_shop.order((ink, 1))
    assert placed.order_number != other.order_number
    assert await quiet_shop.get(placed.order_id) == placed
    assert await quiet_shop.stock(ink) == 98
    typed = placed.order_number.lower().replace("-", "")
    for token in (quiet_shop.user, quiet_shop.operator):
        assert await listed(quiet_shop, token, order_number=typed) == [placed.order_id]
    assert await listed(quiet_shop, quiet_shop.issuer.user(ids.new("usr")), order_number=typed) == []
    assert await listed(quiet_shop, quiet_shop.partner("prt_a"), order_number=typed) == []
    await assert_refused(
        quiet_shop.orders.ListOrders(
            ListOrdersRequest(order_number=typed[:-1]), metadata=metadata(quiet_shop.operator)
        ),
        "REQUEST_INVALID",
        violations={"order_number": "must be empty or the number of an order"},
    )


async def test_the_size_of_a_list_is_told_where_one_page_has_it_all(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    for _ in range(3):
        await quiet_shop.order((ink, 1))

    async def total(**more: object) -> int | None:
        request = ListOrdersRequest(**more)  # type: ignore[arg-type]  # the tests' own fields
        page = await quiet_shop.orders.ListOrders(request, metadata=metadata(quiet_shop.user))
        return page.total_size if page.HasField("total_size") else None

    assert (await total(), await total(page_size=3), await total(page_size=2)) == (3, 3, None)
    assert await total(external_reference="none") == 0
