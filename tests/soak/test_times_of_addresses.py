"""Whether an address has an account is not to be read from the answer to an anonymous call nor from its time, however often one asks."""

import math
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from weft.user.v1.auth_service_pb2 import ResendVerificationRequest, SignInRequest, SignUpRequest
from weft.user.v1.password_pb2 import RequestPasswordResetRequest, ResetPasswordRequest

from services.user.__main__ import build
from tests.harness import Harness, reason_of
from tests.user.passkeys.authenticator import challenged, changed, present, register
from tests.user.world import PASSWORD, Metadata, World

ROUNDS = 300
Z = 3.9
"""Of a rank test; one alike pair of samples fails it once in ten thousand times."""
WRONG = "another password of mine"
Ask = Callable[[World, str, Metadata], Awaitable[object]]
CALLS: dict[str, Ask] = {
    "sign-up": lambda world, email, at: world.auth.SignUp(SignUpRequest(email=email, password=WRONG), metadata=at),
    "sign-in": lambda world, email, at: world.auth.SignIn(SignInRequest(email=email, password=WRONG), metadata=at),
    "request of a reset": lambda world, email, at: world.auth.RequestPasswordReset(
        RequestPasswordResetRequest(email=email), metadata=at
    ),
    "reset": lambda world, email, at: world.auth.ResetPassword(
        ResetPasswordRequest(email=email, code="AAAA-BBBB-CCCC", new_password=WRONG), metadata=at
    ),
    "resend": lambda world, email, at: world.auth.ResendVerification(
        ResendVerificationRequest(email=email, password=PASSWORD), metadata=at
    ),
}


@pytest.mark.soak
@pytest.mark.parametrize("name", CALLS)
async def test_answers_and_times_of_known_and_unknown_addresses_are_alike(harness: Harness, clock, name: str) -> None:
    async with harness.running("user", build, clock, work=False, mails_of_network=10_000) as running:
        world = World(running, harness, clock)
        # A resend concerns pending sign-ups, everything else accounts.
        make = world.sign_up if name == "resend" else world.registered
        known = [(await make(f"owner{number}")).email for number in range(ROUNDS // 4)]

        async def ask(email: str) -> tuple[float, str]:
            at = world.at(f"2001:{secrets.token_hex(2)}:{secrets.token_hex(2)}::9")
            begun = time.perf_counter()
            reason = await reason_of(CALLS[name](world, email, at))
            return time.perf_counter() - begun, reason

        taken, free = [], []
        for number in range(ROUNDS):
            taken.append(await ask(known[number % len(known)]))
            free.append(await ask(f"free{number}.{secrets.token_hex(6)}@example.com"))
    compare(name, taken, free)


def compare(name: str, known: list[tuple[float, str]], unknown: list[tuple[float, str]]) -> None:
    """Answers are the same, and times come from one distribution."""
    assert Counter(reason for _, reason in known) == Counter(reason for _, reason in unknown)
    assert len({reason for _, reason in known}) == 1
    score = rank_score([seconds for seconds, _ in known], [seconds for seconds, _ in unknown])
    medians = [statistics.median(seconds for seconds, _ in found) for found in (known, unknown)]
    print(f"{name}: known {medians[0]:.4f} s, unknown {medians[1]:.4f} s, z {score:.2f}")
    assert abs(score) < Z


@pytest.mark.soak
async def test_answers_and_times_of_known_and_unknown_passkeys_are_alike(harness: Harness, clock) -> None:
    async with harness.running("user", build, clock, work=False) as running:
        world = World(running, harness, clock)
        device, _ = await register(world, await world.person("ada"))
        own = device.soft.credential_id

        async def ask(credential_id: bytes) -> tuple[float, str]:
            device.soft.credential_id = credential_id
            wrong = changed(device.get(await challenged(world)), signature="AAAA")
            begun = time.perf_counter()
            address = f"2001:{secrets.token_hex(2)}:{secrets.token_hex(2)}::9"
            reason = await reason_of(present(world, wrong, address))
            return time.perf_counter() - begun, reason

        known, unknown = [], []
        for _ in range(ROUNDS):
            known.append(await ask(own))
            unknown.append(await ask(secrets.token_bytes(32)))
    compare("passkey", known, unknown)


def rank_score(first: list[float], second: list[float]) -> float:
    """The Mann-Whitney statistic in standard deviations; ties are too rare to matter."""
    ranked = sorted([(value, True) for value in first] + [(value, False) for value in second])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, start=1) if is_first)
    n, m = len(first), len(second)
    statistic = ranks - n * (n + 1) / 2
    return (statistic - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
