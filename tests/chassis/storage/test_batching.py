"""Writes that share a round trip: what they share, and what they do not."""

import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from chassis.errors import ResourceBusy
from chassis.storage import batching, contention
from chassis.storage.batching import BatchQueue
from tests.servers import until


class Bad(Exception):
    """An item's own fault."""


class Paper:
    """Takes batches, each when it is let; refuses those with a bad item whole."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.written: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.gate.wait()
        if any(item < 0 for item in items):
            raise Bad
        if 0 in items:
            raise ConnectionError
        self.written += items
        return [item * 10 for item in items]


async def test_an_idle_lane_writes_one_at_once_and_a_busy_one_takes_all_that_waited() -> None:
    paper = Paper()
    queue = BatchQueue(paper.write, (Bad,))
    paper.gate.clear()
    calls = [asyncio.create_task(queue.put(n)) for n in range(1, 6)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls += [asyncio.create_task(queue.put(n)) for n in range(6, 9)]
    await asyncio.sleep(0)
    paper.gate.set()
    assert await asyncio.gather(*calls) == [10, 20, 30, 40, 50, 60, 70, 80]
    assert paper.batches == [[1, 2, 3, 4, 5], [6, 7, 8]]
    await queue.put(9)
    assert paper.batches[-1] == [9]


async def test_after_a_batch_of_several_the_next_one_waits_for_the_batch_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in (
        ("WINDOW_EXPIRY_S", 60.0),
        ("MIN_WINDOW_S", 0.3),
        ("MAX_WINDOW_S", 0.3),
    ):  # however slow the machine
        monkeypatch.setattr(batching, name, seconds)
    paper = Paper()
    queue = BatchQueue(paper.write, (Bad,))
    await asyncio.gather(queue.put(1), queue.put(2))
    one = asyncio.create_task(queue.put(3))
    for _ in range(5):
        await asyncio.sleep(0)
    assert await asyncio.gather(queue.put(4), one) == [40, 30]
    assert paper.batches == [[1, 2], [3, 4]]


async def test_a_bad_item_fails_alone() -> None:
    paper = Paper()
    queue = BatchQueue(paper.write, (Bad,))
    results = await asyncio.gather(*(queue.put(n if n != 17 else -1) for n in range(1, 65)), return_exceptions=True)
    assert [type(r) for r in results if not isinstance(r, int)] == [Bad]
    assert sorted(paper.written) == [n for n in range(1, 65) if n != 17]
    assert len(paper.batches) <= 13


async def test_all_bad_items_fail_each_for_itself() -> None:
    paper = Paper()
    queue = BatchQueue(paper.write, (Bad,))
    results = await asyncio.gather(*(queue.put(-n) for n in range(1, 65)), return_exceptions=True)
    assert all(isinstance(r, Bad) for r in results)
    assert len(paper.batches) == 85


async def test_what_is_no_items_fault_is_not_tried_again() -> None:
    paper = Paper()
    queue = BatchQueue(paper.write, (Bad,))
    results = await asyncio.gather(*(queue.put(n) for n in (1, 0, 2)), return_exceptions=True)
    assert all(isinstance(r, ConnectionError) for r in results)
    assert paper.batches == [[1, 0, 2]]
    await queue.put(3)


async def test_a_caller_that_goes_away_disturbs_nobody() -> None:
    paper = Paper()
    queue = BatchQueue(paper.write, (Bad,))
    paper.gate.clear()
    flying = [asyncio.create_task(queue.put(n)) for n in (1, 2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(queue.put(n)) for n in (3, 4)]
    await asyncio.sleep(0)
    flying[0].cancel()
    waiting[0].cancel()
    await asyncio.sleep(0)
    paper.gate.set()
    assert await asyncio.gather(flying[1], waiting[1]) == [20, 40]
    for gone in (flying[0], waiting[0]):
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert paper.written == [1, 2, 4], "what was in flight is written, what only waited is not"


class Ledger:
    """Takes batches; those that need a row that somebody holds wait in vain, as for a lock."""

    def __init__(self) -> None:
        self.held: dict[int, str] = {}
        self.batches: list[list[int]] = []
        self.slow = asyncio.Event()
        self.slow.set()

    async def write(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.slow.wait()
        if any(item in self.held for item in items):
            raise psycopg.errors.LockNotAvailable
        return list(items)

    async def locks(self, items: Sequence[int]) -> list[list[str]]:
        return [[f"{item} {self.held[item]}"] if item in self.held else [] for item in items]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine."""
    monkeypatch.setattr(contention, "MAX_LOCK_WAIT_S", 60.0)
    monkeypatch.setattr(contention, "CHECK_INTERVAL_S", 0.001)


async def test_an_item_that_waits_for_a_lock_keeps_no_other(patient: None) -> None:
    ledger = Ledger()
    queue = BatchQueue(ledger.write, locks=ledger.locks)
    ledger.held[7] = "a"
    calls = {n: asyncio.create_task(queue.put(n)) for n in range(10)}
    assert await asyncio.gather(*(call for n, call in calls.items() if n != 7)) == [n for n in range(10) if n != 7]
    assert ledger.batches == [list(range(10)), [n for n in range(10) if n != 7]]
    another = asyncio.create_task(queue.put(7))
    assert await queue.put(3) == 3
    assert sum(7 in batch for batch in ledger.batches) == 1, "who comes for the same row meets the lock no second time"
    del ledger.held[7]
    assert await asyncio.gather(calls[7], another) == [7, 7]


async def test_a_row_that_passes_from_hand_to_hand_keeps_nobody_out(patient: None) -> None:
    ledger = Ledger()
    queue = BatchQueue(ledger.write, locks=ledger.locks)
    ledger.held[7] = "a"
    call = asyncio.create_task(queue.put(7))
    await until(lambda: _holds(bool(ledger.batches)), "a try")
    ledger.held[7] = "b"
    await until(lambda: _holds(len(ledger.batches) > 1), "another try, though the row is locked")
    del ledger.held[7]
    assert await call == 7


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "MAX_LOCK_WAIT_S", 0.01)
    ledger = Ledger()
    queue = BatchQueue(ledger.write, locks=ledger.locks)
    ledger.held[7] = "a"
    with pytest.raises(ResourceBusy):
        await queue.put(7)
    assert await queue.put(3) == 3


async def test_a_slow_batch_is_overtaken_by_so_many_and_no_more() -> None:
    ledger = Ledger()
    ledger.slow.clear()
    queue = BatchQueue(ledger.write)
    calls = []
    for n in range(1, 6):
        calls.append(asyncio.create_task(queue.put(n)))
        await until(
            lambda n=n: _holds(len(ledger.batches) >= min(n, batching.MAX_IN_FLIGHT)), "the next batch to take off"
        )
    await asyncio.sleep(batching.OVERTAKE_AFTER_S * 3)
    assert ledger.batches == [[1], [2], [3]]
    ledger.slow.set()
    assert await asyncio.gather(*calls) == [1, 2, 3, 4, 5]


async def _holds(condition: bool) -> bool:
    return condition
