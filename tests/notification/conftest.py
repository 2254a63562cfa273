"""The notification service on a real socket, with a real mail server and a user service by contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from weft.api.v1.event_pb2 import Event
from weft.notification.v1 import event_service_pb2, event_service_pb2_grpc, inbox_service_pb2_grpc

from chassis.app import App
from chassis.clock import FixedClock
from chassis.queues.worker import Worker
from chassis.storage.database import Query, Row
from deploy.local.state.certificates import Certificates
from tests import servers
from tests.harness import Harness, Running
from tests.notification import texts
from tests.notification.smtp import Receiver, receiving
from tests.notification.users import Users, serving


@dataclass
class Service:
    """A running notification service and its surroundings."""

    app: App
    running: Running
    receiver: Receiver
    users: Users
    harness: Harness

    def worker(self, queue: str) -> Worker:
        """The worker of a queue."""
        return next(w for w in self.app._workers if isinstance(w, Worker) and w.queue.name == queue)

    @property
    def events(self) -> Any:
        """A stub with the `internal` identity."""
        return event_service_pb2_grpc.EventServiceStub(self.running.channel)

    @property
    def inbox(self) -> Any:
        """A stub; calls bring their own token."""
        return inbox_service_pb2_grpc.InboxServiceStub(self.running.channel)

    def as_user(self, user_id: str) -> list[tuple[str, str]]:
        """The metadata of a signed-in user's call."""
        return [("authorization", self.harness.issuer.user(user_id))]

    async def publish(self, *events: Event) -> int:
        """Publish; how many were new."""
        return (await self.events.PublishEvents(event_service_pb2.PublishEventsRequest(events=events))).new_count

    async def rows(self, sql: str) -> list[Row]:
        """Look into the database."""
        return await self.app.database.all(Query(sql))

    async def wait_until_idle(self) -> None:
        """Wait until both queues have nothing left to do, retries included.

        Under a clock of the test, only until nothing is due: what is due later waits for `advance`.
        """
        waiting = Query(
            "SELECT count(*) AS n FROM (SELECT due, state FROM event_jobs UNION ALL SELECT due, state FROM email_jobs "
            "UNION ALL SELECT due, state FROM sms_jobs UNION ALL SELECT due, state FROM push_jobs "
            "UNION ALL SELECT due, state FROM dispatch_jobs UNION ALL SELECT due, state FROM digest_jobs) q "
            "WHERE state = 'ready' AND (due <= %(now)s OR NOT %(still)s)"
        )
        still = isinstance(self.app.clock, FixedClock)

        async def nothing_waits() -> bool:
            return (await self.app.database.one(waiting, now=self.app.clock.now(), still=still)).n == 0

        for queue in self.app._queues:
            queue.notify()
        await servers.until(nothing_waits, "the queues to be empty")

    async def attempts(self) -> list[tuple[int, int, str]]:
        """Number, code and response of every attempt."""
        rows = await self.rows("SELECT number, code, response FROM attempts ORDER BY delivery_id, number")
        return [tuple(row) for row in rows]

    async def jobs(self) -> list[tuple[str, int, str]]:
        """State, attempts and error of every e-mail job that is not done, oldest first."""
        return [tuple(row) for row in await self.rows("SELECT state, attempts, error FROM email_jobs ORDER BY id")]

    async def put_jobs_again(self, state: str = "ready") -> None:
        """An e-mail job for each delivery, as where the release before has not yet told the queue that it is done."""
        await self.rows(
            "INSERT INTO email_jobs (kind, key, payload, due, created_at, state) "
            f"SELECT 'again', delivery_id, '', create_time, create_time, '{state}' FROM deliveries "
            "ON CONFLICT (key) DO UPDATE SET state = EXCLUDED.state, leased_until = NULL RETURNING 1"
        )

    async def keep_jobs(self) -> None:
        """Keep e-mail jobs that are done, for `counted_attempts`."""
        for sql in (
            "CREATE TABLE jobs_done (LIKE email_jobs)",
            "CREATE FUNCTION keep_job() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO jobs_done SELECT OLD.*; RETURN OLD; END'",
            "CREATE TRIGGER kept BEFORE DELETE ON email_jobs FOR EACH ROW EXECUTE FUNCTION keep_job()",
        ):
            await self.app.database.run(Query(sql))

    async def counted_attempts(self) -> list[int]:
        """The attempts that count against the maximum, of every e-mail job since `keep_jobs`, oldest first."""
        every = (
            "SELECT id, attempts - excused AS n FROM email_jobs UNION ALL SELECT id, attempts - excused FROM jobs_done"
        )
        return [row.n for row in await self.rows(f"{every} ORDER BY id")]

    async def states(self) -> list[tuple[str, str]]:
        """State and reason of every delivery, oldest first."""
        return [tuple(row) for row in await self.rows("SELECT state, reason FROM deliveries ORDER BY delivery_id")]


Start = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
async def users(certificates: Certificates) -> AsyncIterator[Users]:
    """A user service by contract."""
    async with serving(certificates) as users:
        yield users


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A mail server."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[texts.Provider]:
    """A provider of text messages; `provider.settings` names it to the service."""
    async with texts.serving(tmp_path) as provider:
        yield provider


@pytest.fixture
def start(harness: Harness, users: Users, receiver: Receiver) -> Start:
    """Starts the service, if need be with another build or clock: `async with start() as service:`."""

    @asynccontextmanager
    async def started(
        build: Callable[[App], Awaitable[None]] | None = None, clock: FixedClock | None = None, **more: Any
    ) -> AsyncIterator[Service]:
        settings = {"smtp_url": f"smtp://127.0.0.1:{receiver.port}", "peers": {"user": [users.address]}, **more}
        async with harness.running("notification", build, clock, **settings) as running:
            yield Service(running.app, running, receiver, users, harness)

    return started


@pytest.fixture
async def service(start: Start) -> AsyncIterator[Service]:
    """The service as it is."""
    async with start() as service:
        yield service
