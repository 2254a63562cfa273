"""The RPCs of DeviceService."""

from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import empty_pb2
from weft.notification.v1 import device_service_pb2 as pb

from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.security.modes import LIVE
from chassis.storage.database import Database
from chassis.times import timestamp
from services.notification.channels.push.subscriptions import Device, Subscription, decode
from services.notification.channels.webhook.targets import TargetRefused, Targets
from services.notification.devices.domain import DeviceNotFound, PushNotConfigured
from services.notification.devices.repository import DeviceRepository
from services.notification.persons.domain import RecipientNotFound


class DeviceHandlers:
    """weft.notification.v1.DeviceService."""

    def __init__(
        self, database: Database, devices: DeviceRepository, targets: Targets, clock: Clock, *, public_key: str
    ) -> None:
        """`public_key` is empty where no push messages are sent."""
        self._public_key = public_key
        self._database = database
        self._devices = devices
        self._targets = targets
        self._clock = clock

    async def GetPushKey(self, _: pb.GetPushKeyRequest, __: Call) -> pb.PushKey:
        """The same for everybody. Raises `PushNotConfigured`."""
        if not self._public_key:
            raise PushNotConfigured
        return pb.PushKey(public_key=self._public_key)

    async def RegisterDevice(self, request: pb.RegisterDeviceRequest, call: Call) -> pb.Device:
        """The address is checked as a webhook's is, now and at each connection."""
        if request.user_id not in ("me", call.caller.user_id):
            raise RecipientNotFound(user_id=request.user_id)
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(request.p256dh))
        except ValueError:
            raise RequestInvalid(violations=[("p256dh", "must be a point of the curve P-256")]) from None
        try:
            endpoint = await self._targets.accept(request.endpoint, LIVE)
        except TargetRefused as error:
            raise RequestInvalid(violations=[("endpoint", str(error))]) from None
        subscription = Subscription(endpoint, request.p256dh, request.auth)
        async with self._database.transaction() as tx:
            device = await self._devices.upsert(tx, call.caller.user_id, subscription, self._clock.now())
        if device is None:
            raise RecipientNotFound(user_id=request.user_id)
        return to_message(device)

    async def RemoveDevice(self, request: pb.RemoveDeviceRequest, call: Call) -> empty_pb2.Empty:
        """The caller's own only."""
        own = request.user_id in ("me", call.caller.user_id)
        if not own or not await self._devices.delete(call.caller.user_id, request.device_id):
            raise DeviceNotFound(device_id=request.device_id)
        return empty_pb2.Empty()


def to_message(device: Device) -> pb.Device:
    """Without the subscription, which is never shown."""
    return pb.Device(
        device_id=device.device_id,
        create_time=timestamp(device.created_at),
        update_time=timestamp(device.updated_at),
    )
