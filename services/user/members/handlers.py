"""The RPCs of PartnerService on the people of partners."""

from google.protobuf.empty_pb2 import Empty
from weft.api.v1 import scope_pb2
from weft.user.v1 import events_pb2
from weft.user.v1 import member_pb2 as pb

from chassis import errors, ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.storage.database import Database, Transaction
from chassis.times import timestamp
from services.user import ownership
from services.user.audit.audit import Audit
from services.user.codes.codes import Codes
from services.user.codes.domain import CodeInvalid, Kind
from services.user.codes.repository import CodeRepository
from services.user.members.domain import (
    MAX_MEMBERS,
    OWNER,
    LastOwnerStays,
    Member,
    MemberAlreadyExists,
    MemberLimitReached,
    MemberNotFound,
)
from services.user.members.repository import Invitation, MemberRepository
from services.user.partners.domain import PartnerNotFound
from services.user.partners.repository import PartnerRepository
from services.user.revocations.repository import RevocationRepository
from services.user.throttling.mail_budget import MailBudget
from services.user.throttling.origins import Origins
from services.user.users.domain import User, refuse_unmailable
from services.user.users.repository import UserRepository


class MemberHandlers:
    """The part of weft.user.v1.PartnerService about people. Each change locks the partner first, so that two at once see one another."""

    def __init__(
        self,
        database: Database,
        partners: PartnerRepository,
        members: MemberRepository,
        users: UserRepository,
        codes: Codes,
        requests: CodeRepository,
        revocations: RevocationRepository,
        origins: Origins,
        mails: MailBudget,
        pages: Pages,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._partners = partners
        self._members = members
        self._users = users
        self._codes = codes
        self._requests = requests
        self._revocations = revocations
        self._origins = origins
        self._mails = mails
        self._pages = pages
        self._audit = audit
        self._clock = clock

    async def InviteMember(self, request: pb.InviteMemberRequest, call: Call) -> Empty:
        """Whether the address has an account, the response does not say."""
        refuse_unmailable(request.email)
        partner_id = request.partner_id
        if not ownership.may_manage_partner(call.caller, partner_id):
            raise PartnerNotFound(partner_id=partner_id)
        await self._mails.spend(self._origins.of(request.email, call))
        requester = f"{partner_id} {self._users.lookup(request.email).hex()}"
        async with self._database.transaction() as tx:
            if await self._partners.lock(tx, partner_id) is None:
                raise PartnerNotFound(partner_id=partner_id)
            await self._require_below_limit(tx, partner_id, MAX_MEMBERS - 1)
            asked = self._codes.new(Kind.INVITATION, requester, request.email)
            code_request_id = await self._codes.request(
                tx, call, asked, "partner.member_invited", events_pb2.MemberInvited()
            )
            await self._members.insert_invitation(tx, code_request_id, Invitation(partner_id, _role_name(request.role)))
            reply = Empty()
            await call.remember(tx, reply)
        return reply

    async def AcceptInvitation(self, request: pb.AcceptInvitationRequest, call: Call) -> pb.Member:
        """The code is found by the address of the caller, who must have proved it."""
        now, user = self._clock.now(), await self._users.get(call.caller.user_id)
        if user is None or not user.may_sign_in:
            raise CodeInvalid()
        found = await self._requests.find(Kind.INVITATION, user.email, request.code, now)
        if found is None:
            raise CodeInvalid()
        async with self._database.transaction() as tx:
            invitation = await self._members.get_invitation(tx, found.code_request_id)
            partner = await self._partners.lock(tx, invitation.partner_id) if invitation else None
            if invitation is None or partner is None:
                raise CodeInvalid()
            if await self._members.lock(tx, invitation.partner_id, user.user_id) is not None:
                raise MemberAlreadyExists()
            if not await self._requests.use(tx, found, now):
                raise CodeInvalid()
            await self._require_below_limit(tx, invitation.partner_id, MAX_MEMBERS - 1)
            member = Member(invitation.partner_id, user.user_id, ids.new("mbr", now), invitation.role, now)
            await self._members.insert(tx, member)
            await self._audit.record(tx, call, "member.joined", subject=invitation.partner_id)
            reply = to_message(member, user)
            await call.remember(tx, reply)
        return reply

    async def ListMembers(self, request: pb.ListMembersRequest, call: Call) -> pb.ListMembersResponse:
        """With names and addresses, as the people have them now."""
        partner_id = request.partner_id
        if not ownership.may_manage_partner(call.caller, partner_id) or await self._partners.get(partner_id) is None:
            raise PartnerNotFound(partner_id=partner_id)
        page = self._pages.read(request, {"list": "members", "partner_id": partner_id})
        found = await self._members.list(partner_id, page.limit, page.after)
        users = {user.user_id: user for user in await self._users.get_many([member.user_id for member in found])}
        members, token = self._pages.split(
            page, found, lambda member: to_message(member, users.get(member.user_id)), key="user_id"
        )
        return pb.ListMembersResponse(members=members, next_page_token=token)

    async def GetOwners(self, request: pb.GetOwnersRequest, _: Call) -> pb.GetOwnersResponse:
        """None where there is no such partner."""
        return pb.GetOwnersResponse(user_ids=await self._members.list_owners(request.partner_id))

    async def UpdateMember(self, request: pb.UpdateMemberRequest, call: Call) -> pb.Member:
        """Tokens with the former role stop working."""
        requested, changes = request.member, _changes(request)
        async with self._database.transaction() as tx:
            member = await self._lock(tx, call, requested.partner_id, requested.user_id)
            changed = member.update(requested.etag, changes)
            if changed is not member:
                await self._keep_an_owner(tx, member)
                await self._members.update(tx, changed)
                await self._revocations.revoke(tx, "member", member.member_id)
                await self._audit.record(tx, call, "member.updated", subject=member.user_id, fields=[*changes])
        users = await self._users.get_many([member.user_id])
        return to_message(changed, users[0] if users else None)

    async def RemoveMember(self, request: pb.RemoveMemberRequest, call: Call) -> Empty:
        """Everyone may leave; only owners remove others."""
        caller = call.caller
        async with self._database.transaction() as tx:
            member = await self._lock(tx, call, request.partner_id, request.user_id)
            if "partners.admin" not in caller.scopes and caller.user_id != member.user_id:
                raise errors.ScopeMissing(scope="partners.admin")
            await self._keep_an_owner(tx, member)
            await self._revocations.revoke(tx, "member", member.member_id)
            await self._members.delete(tx, member)
            await self._audit.record(tx, call, "member.removed", subject=member.user_id)
        return Empty()

    async def _lock(self, tx: Transaction, call: Call, partner_id: str, user_id: str) -> Member:
        allowed = ownership.may_manage_partner(call.caller, partner_id)
        partner = await self._partners.lock(tx, partner_id) if allowed else None
        member = await self._members.lock(tx, partner_id, user_id) if partner else None
        if member is None:
            raise MemberNotFound(user_id=user_id)
        return member

    async def _keep_an_owner(self, tx: Transaction, member: Member) -> None:
        """Raise `LastOwnerStays` for the only owner, who is about to be something else."""
        if member.role == OWNER and await self._members.count_owners(tx, member.partner_id) == 1:
            raise LastOwnerStays(partner_id=member.partner_id)

    async def _require_below_limit(self, tx: Transaction, partner_id: str, limit: int) -> None:
        if await self._members.count(tx, partner_id) > limit:
            raise MemberLimitReached(limit=str(MAX_MEMBERS))


def _changes(request: pb.UpdateMemberRequest) -> dict[str, object]:
    """What an update changes, by the names of `Member`."""
    fields, member = masks.fields(request, "member"), request.member
    return {"role": _role_name(member.role)} if "role" in fields else {}


def to_message(member: Member, user: User | None) -> pb.Member:
    """The message of a member; without name and address where the user has been erased meanwhile."""
    return pb.Member(
        partner_id=member.partner_id,
        user_id=member.user_id,
        role=scope_pb2.MemberRole.Value(f"MEMBER_ROLE_{member.role.upper()}"),
        email=user.email if user else "",
        display_name=user.display_name if user else "",
        etag=member.etag,
        create_time=timestamp(member.created_at),
    )


def _role_name(role: "scope_pb2.MemberRole.ValueType") -> str:
    return scope_pb2.MemberRole.Name(role).removeprefix("MEMBER_ROLE_").lower()
