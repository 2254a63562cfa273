"""What the RPCs of the user service share, made once."""

from chassis.app import App
from chassis.errors import WeftError
from chassis.security.signed_token import SignedToken
from services.user.accounts.repository import SignUpRepository
from services.user.audit.audit import Audit
from services.user.audit.repository import AuditRepository
from services.user.auth.reauthentication import Reauthentication
from services.user.codes.codes import Codes
from services.user.codes.repository import CodeRepository
from services.user.devices.devices import Devices
from services.user.devices.repository import DeviceRepository
from services.user.keys.issuer import Issuer
from services.user.keys.ring import of_app as key_ring
from services.user.members.repository import MemberRepository
from services.user.partners.client_repository import ClientRepository
from services.user.partners.repository import PartnerRepository
from services.user.passkeys.domain import PasskeyInvalid
from services.user.passkeys.passkeys import Passkeys
from services.user.passkeys.relying_party import RelyingParty
from services.user.passkeys.repository import PasskeyRepository
from services.user.passwords.passwords import Passwords
from services.user.revocations.repository import RevocationRepository
from services.user.sessions.domain import CredentialsInvalid
from services.user.sessions.open_session_repository import OpenSessionRepository
from services.user.sessions.repository import SessionRepository
from services.user.sessions.sessions import Sessions
from services.user.throttling.attempts import AttemptLimiter
from services.user.throttling.mail_budget import MailBudget
from services.user.throttling.origins import Origins
from services.user.throttling.repository import AttemptRepository
from services.user.totp.domain import SecondFactorInvalid
from services.user.totp.repository import TotpRepository
from services.user.totp.totp import Totp
from services.user.users.cached import CachedUsers
from services.user.users.events import UserEvents
from services.user.users.repository import UserRepository


class Parts:
    """The shared parts of the service, from the bottom up."""

    def __init__(self, app: App) -> None:
        database, clock, vault, outbox = app.database, app.clock, app.vault, app.outbox
        self.users = UserRepository(database, vault)
        self.partners, self.clients = PartnerRepository(database), ClientRepository(database, vault)
        self.cached = CachedUsers(self.users, app.cache, vault)
        self.members = MemberRepository(database)
        self.trail = AuditRepository(database, vault)
        self.audit = Audit(self.trail, clock)
        self.revocations = RevocationRepository(database, clock)
        self.events = UserEvents(outbox, self.users, clock)
        self.origins, self.passwords = Origins(vault), Passwords()
        self.mails = MailBudget(app.cache, app.settings.mails_of_network)
        self.sign_ups, self.code_rows = SignUpRepository(database, vault), CodeRepository(database, vault)
        self.codes = Codes(self.code_rows, self.users, self.members.get_inviting_partner, outbox, self.audit, clock)
        self.ring = key_ring(app, app.tokens.keys_changed)
        self.issuer = Issuer(app.settings.issuer, self.ring, clock, app.contract)
        self._add_sessions(app)
        self._add_second_factors(app)

    def _add_sessions(self, app: App) -> None:
        database, clock, vault = app.database, app.clock, app.vault
        self.session_rows = SessionRepository(self.revocations, vault)
        self.open_sessions = OpenSessionRepository(database, vault, self.revocations)
        devices = Devices(DeviceRepository(), self.events, vault, clock)
        self.sessions = Sessions(
            database, self.users, self.members, self.session_rows, self.issuer, devices, self.audit, clock
        )

    def _add_second_factors(self, app: App) -> None:
        database, clock, vault, settings = app.database, app.clock, app.vault, app.settings
        self.reauthentication = Reauthentication(clock)
        self.sign_ins = self.limiter(app, CredentialsInvalid)
        guesses, presented = (
            self.limiter(app, SecondFactorInvalid, "totp."),
            self.limiter(app, PasskeyInvalid, "passkey."),
        )
        factors, passkey_rows = TotpRepository(database, vault), PasskeyRepository(database, vault)
        self.totp = Totp(database, self.users, factors, self.open_sessions, guesses, self.events, self.audit, clock)
        challenges = SignedToken(vault.derive("passkey challenges"))
        self.passkeys = Passkeys(
            database,
            self.users,
            passkey_rows,
            RelyingParty(settings.rp_id, settings.rp_origins, challenges, clock),
            self.sessions,
            self.open_sessions,
            presented,
            self.origins,
            self.events,
            self.audit,
            clock,
        )

    @staticmethod
    def limiter(app: App, refusal: type[WeftError], prefix: str = "") -> AttemptLimiter:
        """A limit of attempts that count under a prefix of their own."""
        return AttemptLimiter(app.cache, AttemptRepository(app.database), app.clock, refusal, prefix)
