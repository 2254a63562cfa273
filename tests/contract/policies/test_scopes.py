"""Scopes: their names, who holds them, and which of them a method may require."""

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from weft.api.v1 import scope_pb2

import contract
from contract import Contract, ContractError
from services.user.bootstrap import PARTNER_SCOPES
from services.user.users.domain import ADMIN, CUSTOMER, OPERATOR
from tests.contract.compiled import descriptors
from tests.contract.policies.samples import POLICY, ROUTE, service

CONTRACT = contract.load()
CUSTOMERS = {"users.read", "users.write", "orders.read", "orders.write", "payments.read", "inbox.read"}
OPERATORS = CUSTOMERS | {
    "products.write", "orders.fulfil", "payments.write", "notifications.send", "notifications.read", "templates.write",
}  # fmt: skip


def holders(files: FileDescriptorSet, scope: str) -> scope_pb2.ScopeHolders:
    """The option of a scope in a descriptor set, to be changed."""
    (enum,) = (enum for file in files.file for enum in file.enum_type if enum.name == "Scope")
    (value,) = (value for value in enum.value if value.name == scope)
    found: scope_pb2.ScopeHolders = value.options.Extensions[scope_pb2.held_by]
    return found


def test_roles_hold_the_scopes_that_the_contract_gives_them() -> None:
    held = {role: set(scopes) for role, scopes in CONTRACT.scopes_by_role.items()}
    assert held == {
        CUSTOMER: CUSTOMERS,
        OPERATOR: OPERATORS,
        ADMIN: OPERATORS | {"users.admin", "partners.admin", "partners.read", "clients.write", "audit.read"},
    }


def test_partners_can_hold_what_their_clients_can_call() -> None:
    grantable = {scope.name for scope in CONTRACT.scopes.values() if scope.partners}
    called = {method.scope for method in CONTRACT.methods if contract.Caller.PARTNER in method.callers and method.scope}
    wider = {scope.name for scope in CONTRACT.scopes.values() if scope.includes & called}
    assert grantable == called | wider
    assert set(PARTNER_SCOPES) <= grantable


def test_a_partners_people_hold_what_their_role_allows_of_what_the_partner_holds() -> None:
    reads = {"users.read", "orders.read", "payments.read", "partners.read", "notifications.read"}
    everything = [scope.name for scope in CONTRACT.scopes.values() if scope.partners]
    held = {role: set(CONTRACT.scopes_of_member(role, everything)) for role in ("viewer", "developer", "owner")}
    assert held == {
        "viewer": reads,
        "developer": reads | {"clients.write", "webhooks.manage"},
        "owner": reads
        | {"clients.write", "webhooks.manage", "partners.admin", "users.write", "orders.write", "products.write"}
        | {"notifications.send", "templates.write"},
    }
    assert CONTRACT.scopes_of_member("viewer", ["orders.read"]) == ("orders.read", "partners.read")
    assert CONTRACT.accepted_scopes("clients.write") == {"clients.write", "partners.admin"}


def test_a_scope_that_nobody_holds_is_refused() -> None:
    files = descriptors(service(POLICY, ROUTE))
    holders(files, "SCOPE_USERS_ADMIN").Clear()
    with pytest.raises(ContractError, match=r"^weft\.api\.v1\.Scope\.SCOPE_USERS_ADMIN is held by nobody: write"):
        Contract(files)


@pytest.mark.parametrize(
    ("callers", "scope", "caller"),
    [
        ("CALLER_USER, CALLER_PARTNER", "SCOPE_INBOX_READ", "CALLER_PARTNER"),
        ("CALLER_OPERATOR, CALLER_PARTNER", "SCOPE_USERS_ADMIN", "CALLER_PARTNER"),
    ],
)
def test_a_caller_that_can_never_hold_the_scope_is_refused(callers: str, scope: str, caller: str) -> None:
    policy = POLICY.replace("CALLER_USER", callers).replace("SCOPE_ORDERS_WRITE", scope)
    sentence = rf"^weft\.lab\.v1\.LabService\.Try is open to {caller}, none of whom can hold {scope}: drop the caller"
    with pytest.raises(ContractError, match=sentence):
        Contract(descriptors(service(policy, ROUTE)))


def test_a_scope_that_only_customers_hold_is_nothing_for_operators() -> None:
    files = descriptors(service(POLICY.replace("CALLER_USER", "CALLER_OPERATOR"), ROUTE))
    held = holders(files, "SCOPE_ORDERS_WRITE")
    del held.roles[:]
    held.roles.append(scope_pb2.ROLE_CUSTOMER)
    with pytest.raises(ContractError, match="LabService.Try is open to CALLER_OPERATOR, none of whom can hold"):
        Contract(files)


def test_every_fault_is_told_at_once() -> None:
    files = descriptors(service(POLICY.replace("deadline: {seconds: 5}", ""), ROUTE))
    holders(files, "SCOPE_USERS_ADMIN").Clear()
    with pytest.raises(ContractError) as refused:
        Contract(files)
    assert len(str(refused.value).splitlines()) == 2
