"""The identity of a caller, from a verified token or a verified certificate only."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chassis.security import networks
from chassis.security.networks import Network
from contract import Caller


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller. `subject` is a user id, a client id, or a service's SPIFFE id; empty for callers without a token.

    `authenticated_at` is when a user signed in, in seconds since 1970, and `methods` is how (RFC 8176).
    """

    subject: str = ""
    user_id: str = ""
    client_id: str = ""
    partner_id: str = ""
    service: str = ""
    session_id: str = ""
    token_id: str = ""
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    plan: str = ""
    mode: str = "LIVE"
    member_role: str = ""
    expires_at: float = 0.0
    authenticated_at: float = 0.0
    methods: frozenset[str] = frozenset()
    generations: Mapping[str, int] = field(default_factory=dict, hash=False)
    """What the token can be revoked by: session, signing key, user, client and partner, each with the generation in the token."""
    networks: tuple[Network, ...] = ()
    """Where the token may be used; anywhere if empty."""
    kinds: frozenset[Caller] = field(default=frozenset({Caller.PUBLIC}))

    @property
    def is_user(self) -> bool:
        """A signed-in person, operators included."""
        return Caller.USER in self.kinds

    @property
    def is_partner(self) -> bool:
        """A partner's client, or one of its people."""
        return Caller.PARTNER in self.kinds

    @property
    def is_member(self) -> bool:
        """One of a partner's people, who acts for the partner."""
        return Caller.MEMBER in self.kinds

    @property
    def acting(self) -> str:
        """The caller, and for whom: a person acts for themselves, or for a partner in a mode; an app acts for a person."""
        if self.is_member:
            return f"{self.subject} {self.partner_id} {self.mode}"
        return f"{self.subject} {self.client_id}" if self.is_app else self.subject

    @property
    def is_app(self) -> bool:
        """A partner's app that acts for a user, as far as its scopes go."""
        return self.is_user and bool(self.client_id)

    @property
    def is_operator(self) -> bool:
        """A signed-in person with the operator or the admin role."""
        return Caller.OPERATOR in self.kinds

    @property
    def is_internal(self) -> bool:
        """Another service."""
        return Caller.INTERNAL in self.kinds

    @property
    def actor(self) -> str:
        """The name of the caller in events and timelines."""
        return self.subject or "anonymous"


ANONYMOUS = Identity()


def from_claims(claims: Mapping[str, Any], key_id: str) -> Identity:
    """The identity of a verified access token (RFC 9068), and the key that signed it."""
    subject, client_id = str(claims["sub"]), str(claims.get("client_id", ""))
    app = bool(client_id) and client_id != subject  # a partner's app that acts for a user: it is the user, with less
    roles = frozenset(map(str, claims.get("roles", ())))
    member_role = str(claims.get("member_role", ""))
    if member_role:
        kinds = {Caller.PARTNER, Caller.MEMBER}
    elif app:
        kinds = {Caller.USER}
    elif client_id:
        kinds = {Caller.PARTNER}
    elif roles & {"operator", "admin"}:
        kinds = {Caller.USER, Caller.OPERATOR}
    else:
        kinds = {Caller.USER}
    partner_id, session_id = "" if app else str(claims.get("partner", "")), str(claims.get("sid", ""))
    generations = {subject: int(claims.get("gen", 0))}
    if partner_id:
        generations[partner_id] = int(claims.get("partner_gen", 0))
    if app:  # it ends with its client and with that one's partner, too
        generations[client_id] = int(claims.get("client_gen", 0))
        generations[str(claims.get("of_partner", ""))] = int(claims.get("partner_gen", 0))
    if member_role:
        generations[str(claims.get("member", ""))] = int(claims.get("member_gen", 0))
    for ended in (session_id, str(claims.get("jti", "")), key_id):
        if ended:
            generations[ended] = 0
    return Identity(
        subject=subject,
        user_id="" if client_id == subject else subject,
        client_id=client_id,
        partner_id=partner_id,
        session_id=session_id,
        token_id=str(claims.get("jti", "")),
        scopes=frozenset(str(claims.get("scope", "")).split()),
        roles=frozenset() if app else roles,
        plan=str(claims.get("plan", "")),
        mode=str(claims.get("mode", "LIVE")),
        member_role=member_role,
        expires_at=float(claims["exp"]),
        authenticated_at=float(claims.get("auth_time", 0)),
        methods=frozenset(map(str, claims.get("amr", ()))),
        generations=generations,
        networks=tuple(networks.parse(str(text)) for text in claims.get("networks", ())),
        kinds=frozenset({Caller.PUBLIC, *kinds}),
    )


def of_service(name: str) -> Identity:
    """The identity of another service of the mesh."""
    return Identity(subject=f"service:{name}", service=name, kinds=frozenset({Caller.PUBLIC, Caller.INTERNAL}))


def of_certificate(presented: Mapping[str, Iterable[bytes]], names: Collection[str]) -> Identity:
    """The service whose certificate a peer has shown (grpc's `auth_context`), if it is one of `names`; otherwise `ANONYMOUS`."""
    for value in presented.get("peer_spiffe_id", ()):
        name = value.decode().removeprefix("spiffe://weft/")
        if name in names:
            return of_service(name)
    return ANONYMOUS
