"""Calls about preferences, as tests make them."""

from weft.notification.v1 import preference_service_pb2, preference_service_pb2_grpc
from weft.notification.v1.preferences_pb2 import Preferences

from tests.notification.conftest import Service

SCOPES = "users.read users.write inbox.read"


def rpc(service: Service):
    return preference_service_pb2_grpc.PreferenceServiceStub(service.running.channel)


def as_user(service: Service, user: str) -> list[tuple[str, str]]:
    return [("authorization", service.harness.issuer.user(user, SCOPES))]


async def update(service: Service, user: str, **fields):
    request = preference_service_pb2.UpdatePreferencesRequest(preferences=Preferences(user_id="me", **fields))
    return await rpc(service).UpdatePreferences(request, metadata=as_user(service, user))
