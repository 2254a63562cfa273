"""Calls that change a password, as tests make them."""

from weft.user.v1 import one_time_code_pb2 as codes
from weft.user.v1.password_pb2 import ChangePasswordRequest, RequestPasswordResetRequest, ResetPasswordRequest

from tests.user.world import PASSWORD, Person, World

NEW = "the second morning in Graz"


async def change(world: World, person: Person, current: str = PASSWORD, new: str = NEW, address: str = "") -> None:
    message = ChangePasswordRequest(current_password=current, new_password=new)
    await world.auth.ChangePassword(message, metadata=[*person.metadata, *world.at(address)])


async def request(world: World, email: str, address: str = "") -> str:
    """Request a reset; the id of the request."""
    await world.auth.RequestPasswordReset(RequestPasswordResetRequest(email=email), metadata=world.at(address))
    return (await world.events())[-1].aggregate_id


async def issue(world: World, request_id: str) -> codes.IssueOneTimeCodeResponse:
    """What the mail would say."""
    return await world.auth.IssueOneTimeCode(codes.IssueOneTimeCodeRequest(code_request_id=request_id))


async def requested(world: World, email: str, address: str = "") -> str:
    """The code that a mail would carry."""
    return (await issue(world, await request(world, email, address))).code


async def reset(world: World, email: str, code: str, password: str = NEW, address: str = "") -> None:
    message = ResetPasswordRequest(email=email, code=code, new_password=password)
    await world.auth.ResetPassword(message, metadata=world.at(address))
