"""The RPCs of PersonalDataService, for the user service."""

from google.protobuf import json_format, struct_pb2
from weft.api.v1.personal_record_pb2 import PersonalRecord
from weft.notification.v1 import personal_data_service_pb2 as pb

from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.storage.database import Row
from services.notification.persons.repository import PersonRepository
from services.notification.preferences.domain import Preferences
from services.notification.preferences.handlers import to_message
from services.notification.preferences.repository import PreferenceRepository


class PersonHandlers:
    """weft.notification.v1.PersonalDataService."""

    def __init__(self, persons: PersonRepository, preferences: PreferenceRepository, clock: Clock) -> None:
        self._persons = persons
        self._preferences = preferences
        self._clock = clock

    async def ReadPersonalData(self, request: pb.ReadPersonalDataRequest, _: Call) -> pb.ReadPersonalDataResponse:
        """The devices of a person, the notifications with their deliveries, and the preferences; in the order of their ids."""
        limit = request.limit + 1
        found = [_of_device(row) for row in await self._persons.list_devices(request.user_id, limit, request.after)]
        if len(found) < limit:
            rows = await self._persons.list(request.user_id, limit - len(found), request.after)
            found += [_to_record(row) for row in rows]
        if len(found) < limit and request.after < request.user_id:
            chosen = await self._preferences.get(request.user_id)
            found += [_of_preferences(chosen)] if chosen.version else []
        return pb.ReadPersonalDataResponse(records=found[: request.limit], more=len(found) > request.limit)

    async def ErasePersonalData(self, request: pb.ErasePersonalDataRequest, _: Call) -> pb.ErasePersonalDataResponse:
        """A part of the notifications, and everything else."""
        return pb.ErasePersonalDataResponse(done=await self._persons.erase(request.user_id, self._clock.now()))


def _to_record(row: Row) -> PersonalRecord:
    data = struct_pb2.Struct()
    fields = {
        "type": row.type,
        "subjectId": row.subject_id,
        "data": row.data,
        "createTime": row.create_time.isoformat(),
        "readTime": row.read_time.isoformat() if row.read_time else None,
        "deliveries": row.deliveries,
    }
    json_format.ParseDict(fields, data)
    return PersonalRecord(type="notification", record_id=row.notification_id, data=data)


def _of_preferences(preferences: Preferences) -> PersonalRecord:
    data = struct_pb2.Struct()
    data.update(json_format.MessageToDict(to_message(preferences)))
    return PersonalRecord(type="preferences", record_id=preferences.user_id, data=data)


def _of_device(row: Row) -> PersonalRecord:
    data = struct_pb2.Struct()
    data.update({"createTime": row.created_at.isoformat(), "updateTime": row.updated_at.isoformat()})
    return PersonalRecord(type="device", record_id=row.device_id, data=data)
