"""The RPCs of AuthService and UserService on passkeys."""

from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from weft.user.v1 import auth_service_pb2
from weft.user.v1 import passkey_pb2 as pb

from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.times import timestamp
from services.user.auth.cookies import RefreshCookie
from services.user.auth.handlers import to_message as to_token_pair
from services.user.auth.reauthentication import Reauthentication, ReauthenticationRequired
from services.user.passkeys.domain import DEFAULT_NAME, Passkey
from services.user.passkeys.passkeys import Passkeys
from services.user.password_changes.confirmation import PasswordConfirmation
from services.user.throttling.origins import Origins
from services.user.totp.domain import SecondFactor
from services.user.totp.totp import Totp
from services.user.users.domain import User
from services.user.users.repository import UserRepository
from services.user.users.visible import get_visible


class PasskeyHandlers:
    """The part of weft.user.v1.AuthService about passkeys."""

    def __init__(
        self,
        users: UserRepository,
        passkeys: Passkeys,
        totp: Totp,
        confirmation: PasswordConfirmation,
        reauthentication: Reauthentication,
        origins: Origins,
        cookie: RefreshCookie,
    ) -> None:
        self._users = users
        self._passkeys = passkeys
        self._totp = totp
        self._confirmation = confirmation
        self._reauthentication = reauthentication
        self._origins = origins
        self._cookie = cookie

    async def BeginPasskeyRegistration(
        self, request: pb.BeginPasskeyRegistrationRequest, call: Call
    ) -> pb.BeginPasskeyRegistrationResponse:
        """A passkey signs in alone, so it takes all factors of the account to add one."""
        user = await self._prove(request, call)
        options = await self._passkeys.begin_registration(call, user)
        reply = pb.BeginPasskeyRegistrationResponse(
            expire_time=timestamp(options.expires_at),
        )
        reply.public_key.update(options.public_key)
        return reply

    async def FinishPasskeyRegistration(self, request: pb.FinishPasskeyRegistrationRequest, call: Call) -> pb.Passkey:
        """The challenge proves that the session has begun the registration."""
        return to_message(
            await self._passkeys.finish_registration(call, _json(request.credential), request.display_name)
        )

    async def BeginPasskeySignIn(self, _: pb.BeginPasskeySignInRequest, __: Call) -> pb.BeginPasskeySignInResponse:
        """Stores nothing."""
        options = self._passkeys.begin_sign_in()
        reply = pb.BeginPasskeySignInResponse(
            expire_time=timestamp(options.expires_at),
        )
        reply.public_key.update(options.public_key)
        return reply

    async def FinishPasskeySignIn(
        self, request: pb.FinishPasskeySignInRequest, call: Call
    ) -> auth_service_pb2.TokenPair:
        """The same response, in the same time, whatever does not fit."""
        tokens = await self._passkeys.finish_sign_in(call, _json(request.credential))
        return to_token_pair(tokens, self._cookie.deliver(call, tokens.refresh, request.keep_in_cookie))

    async def _prove(self, request: pb.BeginPasskeyRegistrationRequest, call: Call) -> User:
        """The caller, who gives password and code, or has signed in with all factors not long ago."""
        if request.password:
            user = await self._confirmation.confirm(call, request.password)
            second = SecondFactor(request.totp_code, request.recovery_code)
            async with self._totp.using(call, user, second, self._origins.of(user.email, call)) as proven:
                return proven.user
        has_codes = await self._totp.get(call.caller.user_id) is not None
        self._reauthentication.by_age(call, two_factors=has_codes)
        found = await self._users.get(call.caller.user_id)
        if found is None or not found.may_sign_in:  # since the token was issued
            raise ReauthenticationRequired()
        return found


class UserPasskeyHandlers:
    """The part of weft.user.v1.UserService about passkeys."""

    def __init__(
        self, users: UserRepository, passkeys: Passkeys, reauthentication: Reauthentication, pages: Pages
    ) -> None:
        self._users = users
        self._pages = pages
        self._passkeys = passkeys
        self._reauthentication = reauthentication

    async def ListPasskeys(self, request: pb.ListPasskeysRequest, call: Call) -> pb.ListPasskeysResponse:
        """Users see their own, operators all."""
        user_id = (await get_visible(self._users, request.user_id, call.caller)).user_id
        page = self._pages.read(request, {"list": "passkeys", "user_id": user_id})
        found = await self._passkeys.list(user_id, page.limit, page.after)
        passkeys, token = self._pages.split(page, found, to_message, key="passkey_id")
        return pb.ListPasskeysResponse(passkeys=passkeys, next_page_token=token)

    async def UpdatePasskey(self, request: pb.UpdatePasskeyRequest, call: Call) -> pb.Passkey:
        """The name is all that can change."""
        requested, changes = request.passkey, _changes(request)
        user_id = (await get_visible(self._users, requested.user_id, call.caller)).user_id
        return to_message(await self._passkeys.update(call, user_id, requested.passkey_id, requested.etag, changes))

    async def DeletePasskey(self, request: pb.DeletePasskeyRequest, call: Call) -> Empty:
        """By the user or an operator, who has just signed in."""
        user_id = (await get_visible(self._users, request.user_id, call.caller)).user_id
        self._reauthentication.by_age(call)
        await self._passkeys.remove(call, user_id, request.passkey_id)
        return Empty()


def _changes(request: pb.UpdatePasskeyRequest) -> dict[str, object]:
    """What an update changes, by the names of `Passkey`."""
    fields, passkey = masks.fields(request, "passkey"), request.passkey
    return {"display_name": passkey.display_name or DEFAULT_NAME} if "display_name" in fields else {}


def to_message(passkey: Passkey) -> pb.Passkey:
    """Without the credential's id, public key and counter, which stay inside."""
    return pb.Passkey(
        user_id=passkey.user_id,
        passkey_id=passkey.passkey_id,
        display_name=passkey.display_name,
        backed_up=passkey.backed_up,
        etag=passkey.etag,
        create_time=timestamp(passkey.created_at),
        last_use_time=timestamp(passkey.last_used_at),
    )


def _json(credential: Struct) -> dict[str, object]:
    return dict(json_format.MessageToDict(credential))
