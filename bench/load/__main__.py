"""`python -m bench.load`: a `Plan` as JSON on standard input; marks and the `Outcome` as lines on standard output.

`begin` and `end` mark the window: who reads them reads the CPU accounts of the measured processes at that moment.
"""

import gc
import importlib
import json
import sys
from dataclasses import asdict

import uvloop

from bench.load import http, loops, rpc
from bench.load.plan import Outcome, Plan


def _mark(word: str) -> None:
    print(word, flush=True)


async def run(plan: Plan) -> Outcome:
    """Does what the plan says."""
    module, _, name = plan.source.partition(":")
    source = getattr(importlib.import_module(module), name)
    if plan.transport == "client":
        # The measured thing is the caller itself: the source gives its senders.
        senders, kept = await source(plan)
    else:
        transport = {"http": http, "grpc": rpc}[plan.transport]
        senders, kept = await transport.senders(plan, iter(source(**plan.arguments)))
    tally = loops.Tally()
    loop = loops.open_ if plan.rate else loops.closed
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # as a service has it, whose caller this may play; for every side alike
    seconds = await loop(plan, senders, tally, _mark)
    example = ""
    for one in kept:
        if isinstance(one, http.Connection):
            example = one.body[:2000].decode(errors="replace")
        elif close := getattr(one, "close", None):
            await close()
    return tally.outcome(seconds, example)


if __name__ == "__main__":
    outcome = uvloop.run(run(Plan(**json.load(sys.stdin))))
    print(json.dumps(asdict(outcome)), flush=True)
