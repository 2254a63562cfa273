"""Whether an address has an account is not to be read from the time of a sign-up, however often one asks."""

import math
import secrets
import statistics
import time

import pytest
from weft.user.v1.auth_service_pb2 import SignUpRequest

from services.user.__main__ import build
from tests.harness import Harness
from tests.user.world import World

ROUNDS = 300
Z = 3.3
"""Of a rank test; alike ones pass it once in a thousand times."""


@pytest.mark.soak
async def test_the_time_of_a_sign_up_does_not_tell_whether_the_address_has_an_account(harness: Harness, clock) -> None:
    async with harness.running("user", build, clock, work=False, mails_of_network=10_000) as running:
        world = World(running, harness, clock)
        owners = [(await world.registered(f"owner{number}")).email for number in range(ROUNDS // 4)]

        async def seconds(email: str) -> float:
            request = SignUpRequest(email=email, password="another password of mine")
            network = f"2001:{secrets.token_hex(2)}:{secrets.token_hex(2)}::9"
            begun = time.perf_counter()
            await world.auth.SignUp(request, metadata=world.at(network))
            return time.perf_counter() - begun

        taken, free = [], []
        for number in range(ROUNDS):
            taken.append(await seconds(owners[number % len(owners)]))
            free.append(await seconds(f"free{number}.{secrets.token_hex(6)}@example.com"))
    score = rank_score(taken, free)
    print(f"taken {statistics.median(taken):.4f} s, free {statistics.median(free):.4f} s, z {score:.2f}")
    assert abs(score) < Z


def rank_score(first: list[float], second: list[float]) -> float:
    """The Mann-Whitney statistic in standard deviations; ties are too rare to matter."""
    ranked = sorted([(value, True) for value in first] + [(value, False) for value in second])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, start=1) if is_first)
    n, m = len(first), len(second)
    statistic = ranks - n * (n + 1) / 2
    return (statistic - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
