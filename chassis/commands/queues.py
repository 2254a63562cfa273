"""The command `python -m services.<name> queues`, which works on the database and so also where the service is down.

queues list
queues jobs email_jobs [--state dead] [--kind …] [--error …] [--limit 50]
queues replay email_jobs [--id 7 …] [--kind …] [--error …] [--after 2026-11-27T10:00Z] [--before …]
queues discard email_jobs (a filter, or --all)
queues pause email_jobs --reason "…" | queues resume email_jobs
"""

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf import json_format
from google.protobuf.message import Message

from chassis.app import App
from chassis.queues.inspection import MAX_JOBS, STATES, Filter, Inspection, QueueNotFound
from chassis.rpc.builtin import queue_handlers
from chassis.settings import SettingsError


async def run(app: App, words: Sequence[str]) -> None:
    """Run one command and print JSON, a line for each queue or job. Raises `SettingsError` with what to write instead."""
    given = _parser(app.name).parse_args(words)
    await app.database.open()
    try:
        await _run(Inspection(app.database, app.metadata, app.clock), given)
    except QueueNotFound as error:
        raise SettingsError(str(error)) from None
    finally:
        await app.close()


async def _run(inspection: Inspection, given: argparse.Namespace) -> None:
    by = f"command of {getpass.getuser()}"
    if given.verb == "list":
        for row in await inspection.queues():
            _print(queue_handlers.to_queue(row))
    elif given.verb == "jobs":
        rows = await inspection.jobs(
            given.queue, given.state, kind=given.kind, error=given.error, after=given.after_id, limit=given.limit
        )
        for row in rows:
            _print(queue_handlers.to_job(row))
    elif given.verb == "pause":
        await inspection.pause(given.queue, given.reason, by)
        _print(queue_handlers.to_queue(await inspection.queue(given.queue)))
    elif given.verb == "resume":
        await inspection.resume(given.queue, by)
        _print(queue_handlers.to_queue(await inspection.queue(given.queue)))
    else:
        which = Filter(tuple(given.id), given.kind, given.error, given.after, given.before)
        if which.is_empty and not given.all:
            raise SettingsError(f"say which jobs to {given.verb}, or --all.")
        change = inspection.replay if given.verb == "replay" else inspection.discard
        total = count = await change(given.queue, which, by)
        while count == MAX_JOBS:
            total += (count := await change(given.queue, which, by))
        sys.stdout.write(f"{total} jobs of {given.queue}\n")


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"weft-{name} queues", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="all queues")
    jobs = verbs.add_parser("jobs", help="the jobs of a queue")
    replay = verbs.add_parser("replay", help="make dead jobs ready again")
    discard = verbs.add_parser("discard", help="delete dead jobs")
    pause = verbs.add_parser("pause", help="begin no more jobs, in any replica")
    for verb in (jobs, replay, discard, pause, verbs.add_parser("resume", help="go on")):
        verb.add_argument("queue")
    for verb in (jobs, replay, discard):
        verb.add_argument("--kind", default="")
        verb.add_argument("--error", default="", help="a part of it")
    for verb in (replay, discard):
        verb.add_argument("--id", type=int, action="append", default=[])
        verb.add_argument("--after", type=_moment, help="given up at this time or later, such as 2026-11-27T10:00Z")
        verb.add_argument("--before", type=_moment)
        verb.add_argument("--all", action="store_true")
    jobs.add_argument("--state", choices=STATES, default="dead")
    jobs.add_argument("--limit", type=int, default=50)
    jobs.add_argument("--after-id", type=int, default=0)
    pause.add_argument("--reason", default="")
    return parser


def _moment(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 2026-11-27T10:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _print(message: Message) -> None:
    sys.stdout.write(json_format.MessageToJson(message, indent=None, preserving_proto_field_name=True) + "\n")
