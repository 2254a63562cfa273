"""Users and addresses as messages of the contract."""

from collections.abc import Iterable

from weft.api.v1 import scope_pb2
from weft.user.v1 import address_pb2, user_pb2

from chassis.security import modes
from chassis.times import timestamp
from services.user.users.domain import User
from services.user.users.profile import Address


def to_message(user: User) -> user_pb2.User:
    """With addresses and metadata, for replies with one user."""
    message = to_short_message(user)
    message.addresses.extend(address_to_message(address) for address in user.addresses)
    message.metadata.update(user.metadata)
    return message


def to_short_message(user: User) -> user_pb2.User:
    """The message of a user without addresses and metadata, for replies with many."""
    return user_pb2.User(
        user_id=user.user_id,
        email=user.email,
        display_name=user.display_name,
        given_name=user.given_name,
        family_name=user.family_name,
        phone=user.phone,
        phone_verified=user.phone_verified_at is not None,
        locale=user.locale,
        time_zone=user.time_zone,
        state=user_pb2.UserState.Value(f"USER_STATE_{user.state}"),
        partner_id=user.partner_id,
        external_reference=user.external_reference,
        roles=[scope_pb2.Role.Value(f"ROLE_{role.upper()}") for role in user.roles],
        etag=user.etag,
        mode=modes.to_message(user.mode),
        create_time=timestamp(user.created_at),
        update_time=timestamp(user.updated_at),
    )


def state_name(state: "user_pb2.UserState.ValueType") -> str:
    """A state as rows name it."""
    return user_pb2.UserState.Name(state).removeprefix("USER_STATE_")


def address_to_message(address: Address) -> address_pb2.PostalAddress:
    return address_pb2.PostalAddress(
        address_id=address.address_id,
        recipient=address.recipient,
        lines=address.lines,
        locality=address.locality,
        administrative_area=address.administrative_area,
        postal_code=address.postal_code,
        region_code=address.region_code,
        is_default=address.is_default,
    )


def addresses_of(messages: Iterable[address_pb2.PostalAddress]) -> tuple[Address, ...]:
    """Addresses as they were sent or stored."""
    return tuple(
        Address(
            address_id=message.address_id,
            recipient=message.recipient,
            lines=tuple(message.lines),
            locality=message.locality,
            administrative_area=message.administrative_area,
            postal_code=message.postal_code,
            region_code=message.region_code,
            is_default=message.is_default,
        )
        for message in messages
    )
