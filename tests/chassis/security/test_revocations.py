"""Revoked tokens: refused at once, the next one not; without word from the feed nothing is changed."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chassis.app import App
from chassis.errors import TokenRevoked
from chassis.rpc.call import Call
from chassis.security import revocations
from chassis.security.identity import Identity
from chassis.security.revocations import Batch, Revocation, Revocations
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import ITEM, USER, Items, serve, stream, unary
from tests.harness import Harness, Running, assert_refused
from tests.servers import until

SESSION, CLIENT, PARTNER = (f"{prefix}_01k00000000000000000000000" for prefix in ("ses", "cli", "prt"))


def soon() -> float:
    """When a revocation ends: long after the test, whenever in a run that comes."""
    return time.time() + 900


class Source:
    """A feed whose messages are the test's; `cursors` are those that it was opened with."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Batch | Exception] = asyncio.Queue()
        self.taken = asyncio.Semaphore(0)
        self.cursors: list[str] = []

    async def __call__(self, cursor: str) -> AsyncGenerator[Batch]:
        self.cursors.append(cursor)
        while True:
            batch = await self.batches.get()
            if isinstance(batch, Exception):
                raise batch
            yield batch
            self.taken.release()

    def put(self, *found: tuple[str, int], cursor: str = "", complete: bool = True) -> None:
        self.batches.put_nowait(Batch(cursor, [Revocation(*each, soon()) for each in found], complete))


class Shelf(Items):
    async def GetItem(self, request: Any, call: Call) -> Any:
        return pb.Item(item_id=request.item_id)

    PeekItem = AdjustItem = GetItem

    async def WatchItems(self, request: Any, call: Call) -> AsyncIterator[Any]:
        yield pb.WatchItemsResponse(cursor="here")
        await asyncio.Event().wait()


class Lab:
    """The probe with a feed and a clock of the test's."""

    def __init__(self, running: Running, source: Source, harness: Harness) -> None:
        self.running, self.source, self.issuer = running, source, harness.issuer
        self.now = 0.0
        running.app.revocations.monotonic = lambda: self.now

    async def told(self, *found: tuple[str, int], **more: Any) -> None:
        """Wait until the service has taken note of these."""
        self.source.put(*found, **more)
        await self.source.taken.acquire()

    async def get(self, authorization: str) -> Any:
        request = pb.GetItemRequest(item_id=ITEM)
        return await unary(self.running, "GetItem")(request, metadata=[("authorization", authorization)], timeout=10)

    async def adjust(self, authorization: str) -> Any:
        metadata = [("authorization", authorization), ("idempotency-key", "k")]
        return await unary(self.running, "AdjustItem")(
            pb.AdjustItemRequest(item_id=ITEM), metadata=metadata, timeout=10
        )


@asynccontextmanager
async def lab(harness: Harness) -> AsyncIterator[Lab]:
    source = Source()

    async def build(app: App) -> None:
        app.revocations.use(source)
        await serve(app, Shelf())

    async with harness.running("probe", build, work=False, stop_grace=0) as running:
        yield Lab(running, source, harness)


def user(lab: Lab, gen: int = 0, sid: str = SESSION) -> str:
    return lab.issuer.token(USER, "orders.read", roles=["customer"], sid=sid, gen=gen)


def operator(lab: Lab) -> str:
    return lab.issuer.token(USER, "orders.read products.write", roles=["operator"], sid=SESSION)


def client(lab: Lab, gen: int = 0, partner_gen: int = 0) -> str:
    return lab.issuer.token(CLIENT, "orders.read", client_id=CLIENT, partner=PARTNER, gen=gen, partner_gen=partner_gen)


async def test_a_revocation_refuses_the_tokens_of_before_and_no_others(harness: Harness) -> None:
    async with lab(harness) as it:
        await it.told()
        tokens = [user(it), user(it, sid="ses_other"), user(it, gen=1), client(it), client(it, gen=1), client(it, 1, 1)]
        refused: set[int] = set()
        for revoked, hits in [
            ((SESSION, 1), {0, 2}),  # of whatever generation: a session that has ended gets no token
            ((USER, 1), {1}),
            ((CLIENT, 1), {3}),
            ((PARTNER, 1), {4}),
        ]:
            await it.told(revoked)
            refused |= hits
            for number, token in enumerate(tokens):
                if number in refused:
                    await assert_refused(it.get(token), "TOKEN_REVOKED")
                else:
                    assert (await it.get(token)).item_id == ITEM, (revoked, number)


async def test_an_older_revocation_that_comes_late_or_twice_changes_nothing(harness: Harness) -> None:
    async with lab(harness) as it:
        await it.told((USER, 3))
        await it.told((USER, 2), (USER, 2))
        await assert_refused(it.get(user(it, gen=2)), "TOKEN_REVOKED")
        await it.get(user(it, gen=3))


async def test_without_word_for_a_minute_nothing_is_changed_and_then_it_goes_on_by_itself(harness: Harness) -> None:
    async with lab(harness) as it:
        await it.told(cursor="c1")
        token = operator(it)
        await it.adjust(token)
        it.source.batches.put_nowait(ConnectionError("lost"))
        it.now = 60.0
        await it.adjust(token)
        it.now = 60.1
        found = await assert_refused(it.adjust(token), "REVOCATIONS_UNAVAILABLE")
        assert found.retry_after == 2.0
        await it.get(token)
        await it.told((USER, 0), complete=False)  # a part of a list is not the list
        await assert_refused(it.adjust(token), "REVOCATIONS_UNAVAILABLE")
        await it.told()
        await it.adjust(token)
        assert it.source.cursors == ["", "c1"]


async def test_before_its_first_list_a_process_changes_nothing(harness: Harness, monkeypatch) -> None:
    async with lab(harness) as it:
        early = asyncio.create_task(it.adjust(operator(it)))
        await asyncio.sleep(0.1)
        assert not early.done()  # the list comes soon, usually
        await it.told()
        await early
    monkeypatch.setattr(revocations, "FIRST_WAIT_S", 0.05)
    async with lab(harness) as it:
        await assert_refused(it.adjust(operator(it)), "REVOCATIONS_UNAVAILABLE")
        await it.get(operator(it))
        request = pb.GetItemRequest(item_id=ITEM)
        assert (await unary(it.running, "PeekItem")(request, timeout=10)).item_id == ITEM


async def test_a_stream_ends_with_its_callers_token(harness: Harness) -> None:
    async with lab(harness) as it:
        await it.told()
        streams = [
            stream(it.running)(pb.WatchItemsRequest(), metadata=[("authorization", token)], timeout=15)
            for token in (user(it), user(it, gen=1, sid="ses_new"))
        ]
        for opened in streams:
            assert (await opened.read()).cursor == "here"
        await it.told((USER, 1), (USER, 1), (SESSION, 1))
        await assert_refused(streams[0].read(), "TOKEN_REVOKED")
        assert not streams[1].done()
        streams[1].cancel()

        async def forgotten() -> bool:
            return not it.running.app.revocations._watchers

        await until(forgotten, "the streams to be forgotten")


async def test_a_stream_ends_though_its_cancellations_are_lost_and_one_of_somebody_else_is_theirs(monkeypatch) -> None:
    monkeypatch.setattr(revocations, "CANCEL_INTERVAL_S", 0.01)
    list_, caller, lost = Revocations(revocations.none), Identity(generations={"ses_a": 0}), 0

    async def watch() -> None:
        nonlocal lost
        async with list_.until_revoked(caller):
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    lost += 1
                    if lost > 2:
                        raise

    stream = asyncio.create_task(watch())
    await asyncio.sleep(0)
    list_._apply(Batch("", [Revocation("ses_a", 1, soon())], True))
    list_._apply(Batch("", [Revocation("ses_a", 2, soon())], True))
    with pytest.raises(TokenRevoked):
        await asyncio.wait_for(stream, 5)
    assert (lost, stream.cancelling(), list_._watchers) == (3, 0, {})

    stream = asyncio.create_task(watch())
    await asyncio.sleep(0)
    stream.cancel()
    list_._apply(Batch("", [Revocation("ses_a", 3, soon())], True))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(stream, 5)


def _listed(batches: list[Batch]) -> Revocations:
    """A list that has had these."""
    found = Revocations(revocations.none)
    for batch in batches:
        found._apply(batch)
    return found


def _refused(found: Revocations, subject: str) -> bool:
    try:
        found.check(Identity(generations={subject: 0}), writes=False)
    except Exception as error:
        return type(error).__name__ == "TokenRevoked"
    return False


def test_a_revocation_is_forgotten_when_its_tokens_have_expired(monkeypatch) -> None:
    end = time.time() + 10
    found = _listed(
        [
            Batch("", [Revocation("ses_a", 1, end), Revocation("usr_a", 1, end), Revocation("ses_old", 1, 1.0)], True),
            Batch("", [Revocation("usr_a", 2, end + 60)], True),
        ]
    )
    assert [_refused(found, subject) for subject in ("ses_a", "usr_a", "ses_old")] == [True, True, False]
    monkeypatch.setattr(revocations.time, "time", lambda: end + 1)
    found._apply(Batch("", [], True))
    assert found._generations == {"usr_a": 2}
    assert len(found._ends) == 1


@pytest.mark.logs_errors("revocations_dropped")
def test_the_list_has_a_bound_and_drops_the_oldest(monkeypatch) -> None:
    monkeypatch.setattr(revocations, "MAX_ENTRIES", 3)
    found = _listed([Batch("", [Revocation(f"ses_{n}", 1, soon()) for n in range(5)], True), Batch("", [], True)])
    assert sorted(found._generations) == ["ses_2", "ses_3", "ses_4"]
