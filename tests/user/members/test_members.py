"""The people of a partner: invited by mail, acting for it as far as their role goes, and removed."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from weft.api.v1.mode_pb2 import MODE_LIVE, MODE_TEST
from weft.api.v1.scope_pb2 import MEMBER_ROLE_DEVELOPER, MEMBER_ROLE_OWNER, MEMBER_ROLE_VIEWER
from weft.user.v1.auth_service_pb2 import RefreshRequest
from weft.user.v1.member_pb2 import (
    AcceptInvitationRequest,
    InviteMemberRequest,
    ListMembersRequest,
    Member,
    RemoveMemberRequest,
    UpdateMemberRequest,
)
from weft.user.v1.one_time_code_pb2 import IssueOneTimeCodeRequest
from weft.user.v1.partner_service_pb2 import (
    CreateClientRequest,
    GetPartnerRequest,
    ListClientsRequest,
    SuspendPartnerRequest,
)
from weft.user.v1.user_service_pb2 import GetUserRequest, ListUsersRequest

from chassis.storage.database import Query
from tests.harness import assert_refusal, assert_refused, reason_of
from tests.servers import until
from tests.user.world import Metadata, Person, World

SCOPES = "users.read users.write orders.read"
ROLES = {"viewer": MEMBER_ROLE_VIEWER, "developer": MEMBER_ROLE_DEVELOPER, "owner": MEMBER_ROLE_OWNER}


class Company:
    """A partner, and calls of those who manage its people."""

    def __init__(self, world: World, operator: Person, partner_id: str) -> None:
        self.world = world
        self.operator = operator
        self.partner_id = partner_id

    def invite(self, email: str, role: str = "owner", metadata: Metadata | None = None) -> Any:
        request = InviteMemberRequest(partner_id=self.partner_id, email=email, role=ROLES[role])
        return self.world.partners.InviteMember(request, metadata=metadata or self.operator.metadata)

    async def code(self) -> str:
        """That of the last invitation's mail."""
        (event,) = [e for e in await self.world.events() if e.type == "partner.member_invited"][-1:]
        reply = await self.world.auth.IssueOneTimeCode(IssueOneTimeCodeRequest(code_request_id=event.aggregate_id))
        assert reply.partner_name == "Acme"
        return reply.code

    def accept(self, person: Person, code: str) -> Any:
        request = AcceptInvitationRequest(code=code)
        return self.world.partners.AcceptInvitation(request, metadata=person.metadata)

    async def join(self, name: str, role: str) -> Person:
        """A person with this role."""
        person = await self.world.person(name)
        await self.invite(person.email, role)
        await self.accept(person, await self.code())
        return person

    async def act(self, person: Person, mode: Any = MODE_LIVE) -> Metadata:
        """The metadata of a call in which a person acts for the partner."""
        request = RefreshRequest(refresh_token=person.tokens.refresh_token, partner_id=self.partner_id, mode=mode)
        tokens = await self.world.auth.Refresh(request)
        person.tokens.refresh_token = tokens.refresh_token
        return [("authorization", f"Bearer {tokens.access_token}")]

    def remove(self, user_id: str, metadata: Metadata) -> Any:
        request = RemoveMemberRequest(partner_id=self.partner_id, user_id=user_id)
        return self.world.partners.RemoveMember(request, metadata=metadata)

    def change(self, user_id: str, role: str, metadata: Metadata) -> Any:
        member = Member(partner_id=self.partner_id, user_id=user_id, role=ROLES[role])
        return self.world.partners.UpdateMember(UpdateMemberRequest(member=member), metadata=metadata)

    def client(self, metadata: Metadata, mode: Any) -> Any:
        request = CreateClientRequest(partner_id=self.partner_id, display_name="Shop", scopes=["users.read"], mode=mode)
        return self.world.partners.CreateClient(request, metadata=metadata)

    def listed(self, metadata: Metadata) -> Any:
        return self.world.partners.ListMembers(ListMembersRequest(partner_id=self.partner_id), metadata=metadata)


@pytest.fixture
async def company(world: World, operator: Person) -> Company:
    return Company(world, operator, (await world.partner(operator, scopes=SCOPES)).partner_id)


async def test_an_invited_person_joins_with_the_code_once(company: Company, world: World) -> None:
    ann, bob = await world.person("ann"), await world.person("bob")
    await company.invite(ann.email.upper(), "viewer")
    code = await company.code()
    await assert_refused(company.accept(bob, code), "CODE_INVALID")
    await assert_refused(company.accept(ann, "AAAA-AAAA-AAAA"), "CODE_INVALID")
    outcomes = await asyncio.gather(*(company.accept(ann, code) for _ in range(4)), return_exceptions=True)
    joined = [outcome for outcome in outcomes if isinstance(outcome, Member)]
    assert [(one.user_id, one.role, one.email) for one in joined] == [(ann.user_id, MEMBER_ROLE_VIEWER, ann.email)]
    await assert_refused(company.accept(ann, code), "CODE_INVALID")
    await company.invite(ann.email, "owner")
    await assert_refused(company.accept(ann, await company.code()), "MEMBER_ALREADY_EXISTS")
    reply = await company.listed(company.operator.metadata)
    assert [(one.user_id, one.role) for one in reply.members] == [(ann.user_id, MEMBER_ROLE_VIEWER)]
    stored = str(await world.rows("SELECT invitations::text, code_requests::text FROM invitations, code_requests"))
    assert ann.email.split("@")[0] not in stored and code not in stored


async def test_a_partner_has_at_most_200_people_and_invitations(company: Company, world: World) -> None:
    ann = await world.person("ann")
    await company.invite(ann.email, "viewer")
    code = await company.code()
    more = (
        "INSERT INTO code_requests SELECT (jsonb_populate_record(c, jsonb_build_object("
        "'code_request_id', 'crq_' || n, 'requester', 'other ' || n))).* FROM code_requests c, generate_series(1, 200) n",
        "INSERT INTO invitations SELECT 'crq_' || n, partner_id, role FROM invitations, generate_series(1, 200) n",
    )
    for statement in more:
        await world.app.database.run(Query(statement))
    await assert_refused(company.accept(ann, code), "MEMBER_LIMIT_REACHED", limit="200")
    await assert_refused(company.invite("bob@example.com"), "MEMBER_LIMIT_REACHED", limit="200")
    await world.app.database.run(Query("DELETE FROM code_requests WHERE code_request_id = 'crq_1'"))
    assert (await company.accept(ann, code)).user_id == ann.user_id
    await assert_refused(company.invite("bob@example.com"), "MEMBER_LIMIT_REACHED", limit="200")


async def test_an_invitation_that_has_expired_is_made_again(company: Company, world: World) -> None:
    ann = await world.person("ann")
    await company.invite(ann.email, "viewer")
    first = await company.code()
    world.clock.advance(timedelta(days=8))  # and nothing has swept it away yet
    ann.tokens = await world.sign_in(ann.email, ann.password)
    operator = company.operator
    operator.tokens = await world.sign_in(operator.email, operator.password)
    await company.invite(ann.email, "developer")
    await assert_refused(company.accept(ann, first), "CODE_INVALID")
    assert (await company.accept(ann, await company.code())).role == MEMBER_ROLE_DEVELOPER


@pytest.mark.parametrize(
    ("role", "scopes", "test", "live", "people"),
    [
        ("viewer", "orders.read partners.read users.read", "SCOPE_MISSING", "SCOPE_MISSING", "SCOPE_MISSING"),
        (
            "developer",
            "clients.write orders.read partners.read users.read",
            "",
            "CLIENT_MODE_NOT_ALLOWED",
            "SCOPE_MISSING",
        ),
        (
            "owner",
            "clients.write orders.read partners.admin partners.read users.read users.write",
            "",
            "",
            "",
        ),
    ],
)
async def test_a_person_acts_as_far_as_the_role_goes(
    company: Company, world: World, role: str, scopes: str, test: str, live: str, people: str
) -> None:
    person = await company.join(role, role)
    metadata = await company.act(person)
    claims = await world.claims(metadata[0][1].removeprefix("Bearer "))
    named = {name: claims[name] for name in ("sub", "partner", "member_role", "mode", "plan", "scope")}
    assert named == {
        "sub": person.user_id,
        "partner": company.partner_id,
        "member_role": role,
        "mode": "LIVE",
        "plan": "standard",
        "scope": scopes,
    }
    for call, reason in (
        (company.client(metadata, MODE_TEST), test),
        (company.client(metadata, MODE_LIVE), live),
        (company.invite(world.email(f"friend.of.{role}"), "viewer", metadata), people),
        (company.listed(metadata), ""),
        (world.partners.GetPartner(GetPartnerRequest(partner_id=company.partner_id), metadata=metadata), ""),
        (world.partners.ListClients(ListClientsRequest(partner_id=company.partner_id), metadata=metadata), ""),
        (world.users.ListUsers(ListUsersRequest(), metadata=metadata), ""),
        # Acting for the partner they are not themselves.
        (world.users.GetUser(GetUserRequest(user_id="me"), metadata=metadata), "USER_NOT_FOUND"),
    ):
        if reason:
            await assert_refused(call, reason)
        else:
            await call
    (event,) = (
        await world.rows(
            "SELECT actor, on_behalf_of FROM audit_events WHERE action = 'client.created' "
            "ORDER BY audit_event_id DESC LIMIT 1"
        )
        or [("", "")]
    )[:1]
    if not test:
        assert tuple(event) == (person.user_id, company.partner_id)


async def test_who_is_nobodys_person_cannot_act_for_it(company: Company, world: World, operator: Person) -> None:
    ann, bob = await company.join("ann", "owner"), await world.person("bob")
    before = bob.tokens.refresh_token
    await assert_refused(company.act(bob), "PARTNER_NOT_FOUND", partner_id=company.partner_id)
    bob.tokens = await world.auth.Refresh(RefreshRequest(refresh_token=before))  # it was not used up
    other = Company(world, operator, (await world.partner(operator, "Other")).partner_id)
    metadata = await company.act(ann)
    for call in (
        other.listed(metadata),
        other.invite(bob.email, "owner", metadata),
        other.client(metadata, MODE_TEST),
    ):
        await assert_refused(call, "PARTNER_NOT_FOUND")
    for call in (other.remove(ann.user_id, metadata), other.change(ann.user_id, "viewer", metadata)):
        await assert_refused(call, "MEMBER_NOT_FOUND")
    # As themselves they are no partner's.
    for call in (company.listed(ann.metadata), company.invite(bob.email, "owner", ann.metadata)):
        await assert_refused(call, "CALLER_NOT_ALLOWED")
    suspend = SuspendPartnerRequest(partner_id=company.partner_id)
    await world.partners.SuspendPartner(suspend, metadata=operator.metadata)
    await assert_refused(company.act(ann), "PARTNER_NOT_FOUND")


async def test_who_is_removed_or_changed_stops_at_once(company: Company, world: World) -> None:
    await company.join("ann", "owner")
    bob = await company.join("bob", "owner")
    operator = company.operator.metadata

    async def revoked(metadata: Metadata) -> bool:
        return await reason_of(company.listed(metadata)) == "TOKEN_REVOKED"

    as_owner = await company.act(bob)
    assert (await company.change(bob.user_id, "viewer", operator)).role == MEMBER_ROLE_VIEWER
    await until(lambda: revoked(as_owner), "the token of the former role to be revoked")
    as_viewer = await company.act(bob)
    await company.listed(as_viewer)
    await company.remove(bob.user_id, as_viewer)  # everyone may leave
    await until(lambda: revoked(as_viewer), "the token to be revoked")
    await assert_refused(company.act(bob), "PARTNER_NOT_FOUND")
    await world.users.GetUser(GetUserRequest(user_id="me"), metadata=bob.metadata)  # their own token is not


async def test_one_owner_stays_also_of_two_who_leave_at_once(company: Company, world: World) -> None:
    ann, bob = await company.join("ann", "owner"), await company.join("bob", "owner")
    as_ann, as_bob = await company.act(ann), await company.act(bob)
    outcomes = await asyncio.gather(
        company.remove(ann.user_id, as_ann), company.change(bob.user_id, "viewer", as_bob), return_exceptions=True
    )
    (error,) = (outcome for outcome in outcomes if isinstance(outcome, grpc.RpcError))
    assert_refusal(error, "LAST_OWNER_STAYS", partner_id=company.partner_id)
    reply = await company.listed(company.operator.metadata)
    (owner,) = (one.user_id for one in reply.members if one.role == MEMBER_ROLE_OWNER)
    for call in (
        company.remove(owner, company.operator.metadata),
        company.change(owner, "developer", company.operator.metadata),
    ):
        await assert_refused(call, "LAST_OWNER_STAYS", partner_id=company.partner_id)
