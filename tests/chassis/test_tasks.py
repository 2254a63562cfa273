"""Ending tasks whose first cancellation is lost."""

import asyncio
import sys

from chassis import tasks


class Deaf:
    """A loop that takes a cancellation for a fault of one turn and goes on, as often as it is told."""

    def __init__(self, times: int) -> None:
        self.lost = 0
        self._times = times

    async def run(self) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if self.lost == self._times:
                    raise
                self.lost += 1


async def test_a_task_that_loses_cancellations_ends_all_the_same(monkeypatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    deaf = [Deaf(0), Deaf(1), Deaf(3)]
    running = [asyncio.create_task(each.run()) for each in deaf]
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.end(running), 10)
    assert [task.cancelled() for task in running] == [True] * 3
    assert [each.lost for each in deaf] == [0, 1, 3]


async def test_what_has_ended_and_what_fails_as_it_ends_are_no_obstacle() -> None:
    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError

    async def done() -> None:
        pass

    running = [asyncio.create_task(fail()), asyncio.create_task(done())]
    await asyncio.sleep(0)
    await tasks.end([*running, asyncio.get_running_loop().create_future()])
    assert all(task.done() for task in running)
    await tasks.end([])


async def test_a_cancellation_that_comes_with_a_reply_is_lost_and_made_up_for(monkeypatch) -> None:
    """The race itself, where Python has it: `wait_for`, as psycopg's pool waits for a connection."""
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    reply, turns = asyncio.Event(), 0

    async def follow() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.wait_for(reply.wait(), 60)
            reply.clear()

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reply.set()
    await asyncio.sleep(0)  # what is waited for is done, and the task has not yet gone on
    await asyncio.wait_for(tasks.end([following]), 10)
    assert following.cancelled()
    assert turns == (1 if sys.version_info >= (3, 12) else 2)


async def test_who_waits_for_the_end_may_be_cancelled_and_leaves_nobody_behind(monkeypatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    deaf = Deaf(3)
    running = asyncio.create_task(deaf.run())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(tasks.end([running]))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=10)
    assert waiting.cancelled()
    assert running.cancelled()
