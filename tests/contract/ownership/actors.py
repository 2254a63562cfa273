"""Who calls in the ownership matrix: the owners of each group, an operator, and tokens that are refused."""

from collections.abc import Mapping

from chassis import ids
from contract import Caller
from tests.contract.ownership import ownership
from tests.contract.ownership.ownership import CONTRACT, Actor
from tests.harness import Harness

SCOPES = " ".join(CONTRACT.scopes)
TEST = "_in_TEST"


def mode_of(group: str) -> str:
    """The mode in which a group owns things."""
    return "TEST" if group.endswith(TEST) else "LIVE"


def actors(harness: Harness, owners: Mapping[str, tuple[str, str]]) -> tuple[Actor, ...]:
    """Owners by group: the id of a user and that of a partner, either of them empty; an operator, and nobody.

    A group whose name ends with TEST is what a partner has in that mode; its customers do not sign in.
    """
    found = [
        Actor("nobody", None, "", refusal="TOKEN_MISSING"),
        Actor(
            "an expired token",
            None,
            "",
            harness.issuer.token(ids.new("usr"), SCOPES, roles=["admin"], lifetime=-61),
            refusal="TOKEN_EXPIRED",
        ),
        Actor(
            "a token for another audience",
            None,
            "",
            harness.issuer.token(ids.new("usr"), SCOPES, roles=["admin"], aud="elsewhere"),
            refusal="TOKEN_INVALID",
        ),
        Actor("an operator", Caller.OPERATOR, "", harness.issuer.operator(ids.new("usr"), SCOPES)),
    ]
    for group, (user, partner) in owners.items():
        mode = mode_of(group)
        if user and mode == "LIVE":
            # Of a generation that outlives what a call does to the account.
            token = harness.issuer.token(user, SCOPES, roles=["customer"], sid="ses_test", gen=10**6)
            found.append(Actor(f"the user of {group}", Caller.USER, group, token))
            claims = {"client_id": ids.new("cli"), "of_partner": ids.new("prt"), "sid": "ses_test", "gen": 10**6}
            token = harness.issuer.token(user, SCOPES, **claims)
            found.append(Actor(f"an app of the user of {group}", Caller.USER, group, token, app=True))
        if partner:
            token = harness.issuer.partner(partner, SCOPES, mode=mode)
            found.append(Actor(f"the partner of {group}", Caller.PARTNER, group, token))
        if partner and group == "acme":
            for role in ("viewer", "developer", "owner"):
                token = harness.issuer.member(partner, ids.new("usr"), role, " ".join(ownership.scopes_of(role)))
                found.append(Actor(f"a {role} of {group}", Caller.MEMBER, group, token, role))
    return tuple(found)
