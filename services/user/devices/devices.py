"""Tells the owner of an account about a sign-in from a device or network that it has not signed in from."""

from weft.user.v1 import security_events_pb2 as pb

from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.security.encryption import Vault
from chassis.storage.database import Transaction
from services.user.devices.domain import family, is_first
from services.user.devices.repository import DeviceRepository
from services.user.throttling.origins import neighbourhood
from services.user.users.domain import User
from services.user.users.events import UserEvents


class Devices:
    """The devices and networks that users sign in from."""

    def __init__(self, devices: DeviceRepository, events: UserEvents, vault: Vault, clock: Clock) -> None:
        self._devices = devices
        self._events = events
        self._vault = vault
        self._clock = clock

    async def notice(self, tx: Transaction, call: Call, user: User) -> None:
        """Remember where a user signs in from, whose row the transaction has locked, and tell of what is new."""
        now, device = self._clock.now(), family(call.header("user-agent"))
        place = f"{user.user_id} {device} {neighbourhood(call.client_address)}"
        known, seen = await self._devices.see(tx, user.user_id, self._vault.lookup(place, "user.device"), now)
        if not seen and not is_first(known, user.created_at, now):
            payload = pb.SignedInFromNewDevice(user_id=user.user_id, device=device)
            await self._events.put(tx, "user.signed_in_from_new_device", user.user_id, payload, user.user_id)
