"""People with an authenticator app: pyotp, as it is."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyotp
from weft.user.v1.auth_service_pb2 import SignInRequest, TokenPair
from weft.user.v1.totp_pb2 import ConfirmTotpRequest, EnrollTotpRequest

from tests.user.world import Person, World

STEP = timedelta(seconds=30)


@dataclass
class Protected:
    """A person whose sign-in asks for a code."""

    world: World
    person: Person
    app: pyotp.TOTP
    recovery_codes: list[str]

    def code(self, skew: int = 0) -> str:
        """What the app shows, with a clock that is so many steps ahead."""
        return self.app.at(self.world.clock.now(), counter_offset=skew)

    async def sign_in(self, address: str = "", **codes: Any) -> TokenPair:
        """With the right password."""
        request = SignInRequest(email=self.person.email, password=self.person.password, **codes)
        return await self.world.auth.SignIn(request, metadata=self.world.at(address))


async def enrol(world: World, person: Person, **codes: str) -> pyotp.TOTP:
    """Set up an app, as from its QR code."""
    request = EnrollTotpRequest(password=person.password, **codes)
    enrolled = await world.auth.EnrollTotp(request, metadata=person.metadata + world.at())
    app = pyotp.parse_uri(enrolled.otpauth_uri)
    assert isinstance(app, pyotp.TOTP)
    assert app.secret == enrolled.secret
    return app


async def confirm(world: World, person: Person, code: str) -> list[str]:
    """Confirm an enrolment with a first code."""
    reply = await world.auth.ConfirmTotp(ConfirmTotpRequest(totp_code=code), metadata=person.metadata)
    return list(reply.recovery_codes)


async def protected(world: World, name: str) -> Protected:
    """Someone who has set up an app, a step ago."""
    person = await world.person(name)
    app = await enrol(world, person)
    codes = await confirm(world, person, app.at(world.clock.now()))
    world.clock.advance(STEP)
    return Protected(world, person, app, codes)
