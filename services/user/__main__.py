"""The user service: users, sessions, partners, and the access tokens of all callers."""

from pathlib import Path

from chassis import process
from chassis.app import RETRY_FOREVER, App
from chassis.queues.dead_letters import DeadLetters
from chassis.queues.worker import Worker
from chassis.security.signed_token import SignedToken
from services.user import tables
from services.user.accounts.accounts import Accounts
from services.user.accounts.domain import VerificationCodeInvalid
from services.user.accounts.repository import SignUpRepository
from services.user.audit.audit import Audit
from services.user.audit.handlers import AuditHandlers
from services.user.audit.repository import AuditRepository
from services.user.auth.cookies import RefreshCookie
from services.user.auth.handlers import AuthHandlers
from services.user.auth.passkey_handlers import PasskeyHandlers, UserPasskeyHandlers
from services.user.auth.reauthentication import Reauthentication
from services.user.auth.sign_in import SignIn
from services.user.auth.totp_handlers import TotpHandlers, UserTotpHandlers
from services.user.authorizations.authorizations import Authorizations
from services.user.authorizations.consent_handlers import ConsentHandlers
from services.user.authorizations.handlers import AuthorizationHandlers
from services.user.authorizations.repository import AuthorizationRepository
from services.user.bootstrap import bootstrap
from services.user.codes.codes import Codes
from services.user.codes.domain import CodeInvalid
from services.user.codes.handlers import CodeHandlers
from services.user.codes.repository import CodeRepository
from services.user.devices.devices import Devices
from services.user.devices.repository import DeviceRepository
from services.user.email_changes.changes import EmailChanges
from services.user.email_changes.handlers import EmailHandlers
from services.user.erasure.export import Export
from services.user.erasure.handlers import ErasureHandlers, ExportHandlers
from services.user.erasure.repository import PersonRepository
from services.user.erasure.worker import ErasureWorker
from services.user.keys.commands import keys
from services.user.keys.issuer import Issuer
from services.user.keys.repository import CHANNEL as SIGNING_KEYS
from services.user.keys.ring import of_app as key_ring
from services.user.lifecycle.handlers import UserChangeHandlers
from services.user.members.handlers import MemberHandlers
from services.user.members.repository import MemberRepository
from services.user.oauth.clients import ClientAuthentication
from services.user.oauth.handlers import OAuthHandlers
from services.user.oauth.metadata import metadata
from services.user.oauth.revocation import AccessTokens
from services.user.openid.handlers import OpenIdHandlers
from services.user.partners.client_handlers import ClientHandlers
from services.user.partners.handlers import PartnerHandlers
from services.user.partners.repository import PartnerRepository
from services.user.passkeys.domain import PasskeyInvalid
from services.user.passkeys.passkeys import Passkeys
from services.user.passkeys.relying_party import RelyingParty
from services.user.passkeys.repository import PasskeyRepository
from services.user.password_changes.changes import PasswordChanges
from services.user.password_changes.confirmation import PasswordConfirmation
from services.user.password_changes.handlers import PasswordHandlers
from services.user.passwords.passwords import Passwords
from services.user.phones.handlers import PhoneHandlers
from services.user.phones.phones import Phones
from services.user.phones.repository import TextCounts
from services.user.revocations.feed import RevocationFeed
from services.user.revocations.handlers import RevocationHandlers
from services.user.revocations.repository import CHANNEL, RevocationRepository
from services.user.roles.handlers import RoleHandlers
from services.user.seed import seed
from services.user.sessions.domain import CredentialsInvalid
from services.user.sessions.handlers import SessionHandlers
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
from services.user.usage.handlers import UsageHandlers
from services.user.usage.repository import UsageRepository
from services.user.users.cached import CHANNEL as USERS_CHANGED
from services.user.users.cached import CachedUsers
from services.user.users.domain import CUSTOMER
from services.user.users.events import UserEvents
from services.user.users.handlers import UserHandlers
from services.user.users.repository import UserRepository

MIGRATIONS = Path(__file__).with_name("migrations")


async def build(app: App) -> None:
    """Wire the service."""
    database, clock, vault = app.database, app.clock, app.vault
    users, partners = UserRepository(database, vault), PartnerRepository(database, vault)
    cached = CachedUsers(users, app.cache, vault)
    members = MemberRepository(database)
    trail = AuditRepository(database, vault)
    audit = Audit(trail, clock)
    sign_ups, passwords = SignUpRepository(database, vault), Passwords()
    ring = key_ring(app, app.tokens.keys_changed)
    origins = Origins(vault)
    issuer = Issuer(app.settings.issuer, ring, clock, app.contract)
    accounts = Accounts(database, users, sign_ups, passwords, app.outbox, audit, clock)
    counts, events = AttemptRepository(database), UserEvents(app.outbox, users, clock)
    sign_ins = AttemptLimiter(app.cache, counts, clock, CredentialsInvalid)
    verifications = AttemptLimiter(app.cache, counts, clock, VerificationCodeInvalid, "verify.")
    guesses = AttemptLimiter(app.cache, counts, clock, SecondFactorInvalid, "totp.")
    revocations = RevocationRepository(database, clock)
    feed = RevocationFeed(revocations)
    session_rows = SessionRepository(revocations, vault)
    open_sessions = OpenSessionRepository(database, vault, revocations)
    devices = Devices(DeviceRepository(), events, vault, clock)
    sessions = Sessions(database, users, members, session_rows, issuer, devices, audit, clock)
    totp = Totp(database, users, TotpRepository(database, vault), open_sessions, guesses, events, audit, clock)
    party = RelyingParty(
        app.settings.rp_id, app.settings.rp_origins, SignedToken(vault.derive("passkey challenges")), clock
    )
    presented = AttemptLimiter(app.cache, counts, clock, PasskeyInvalid, "passkey.")
    passkey_rows = PasskeyRepository(database, vault)
    passkeys = Passkeys(
        database, users, passkey_rows, party, sessions, open_sessions, presented, origins, events, audit, clock
    )
    sign_in = SignIn(users, passwords, sign_ins, totp, sessions, passkeys, origins)
    reauthentication = Reauthentication(clock)
    cookie = RefreshCookie(issuer.name)
    mails = MailBudget(app.cache, app.settings.mails_of_network)
    code_rows = CodeRepository(database, vault)
    codes = Codes(code_rows, users, members.inviting_partner, app.outbox, audit, clock)
    confirmation = PasswordConfirmation(users, passwords, origins, sign_ins)
    changes = PasswordChanges(database, users, session_rows, passwords, codes, code_rows, app.outbox, audit, clock)
    resets = AttemptLimiter(app.cache, counts, clock, CodeInvalid, "reset.")
    email_changes = EmailChanges(database, users, codes, code_rows, app.outbox, audit, clock)
    texts = TextCounts(vault)
    network_texts = app.settings.texts_of_network
    phones = Phones(database, users, codes, code_rows, texts, app.outbox, audit, clock, network_texts)
    # An account is changed by its owner in person.
    of_people = set(app.contract.scopes_by_role[CUSTOMER]) - {"users.write"}
    clients = ClientAuthentication(partners, issuer.name, clock)
    access_tokens = AccessTokens(database, session_rows, revocations, app.tokens, audit, clock)
    rows = AuthorizationRepository(database)
    apps = Authorizations(database, rows, partners, users, session_rows, open_sessions, issuer, audit, clock, of_people)
    about = metadata(issuer.name, sorted({method.scope for method in app.contract.methods if method.scope}))
    persons, erasures = PersonRepository(database, vault), app.queue("erasure_jobs", **RETRY_FOREVER)
    # Not of erasures: one that is dead is still to be done.
    dead_letters = DeadLetters(database, [app.outbox.queue.table])
    app.add_worker(Worker(erasures, ErasureWorker(database, persons, app.clients, dead_letters), batch=1))
    grantable = {scope.name for scope in app.contract.scopes.values() if scope.partners}

    app.tokens.use(ring.published)
    app.revocations.use(feed.follow)
    app.on_change(USERS_CHANGED, cached.changed)
    app.run_in_background(cached.run())
    app.on_notify(CHANNEL, feed.wake)
    app.on_notify(SIGNING_KEYS, ring.changed)
    app.on_stop(feed.stop)
    app.add_service("weft.user.v1.RevocationService", RevocationHandlers(feed))
    app.add_service(
        "weft.user.v1.AuthService",
        AuthHandlers(accounts, sign_in, sessions, origins, mails, verifications, cookie),
        TotpHandlers(totp, confirmation, origins),
        PasskeyHandlers(users, passkeys, totp, confirmation, reauthentication, origins, cookie),
        PasswordHandlers(changes, confirmation, origins, mails, resets),
        EmailHandlers(email_changes, confirmation, origins, mails),
        PhoneHandlers(phones, origins),
        CodeHandlers(codes),
    )
    usage_rows = UsageRepository(database, clock)
    usage = UsageHandlers(partners, usage_rows, app.pages, app.contract)
    app.usage.use(usage_rows.add)
    app.add_service("weft.user.v1.UsageService", usage)
    app.add_service("weft.user.v1.AuditService", AuditHandlers(trail, app.pages))
    app.add_service(
        "weft.user.v1.OAuthService",
        OAuthHandlers(partners, clients, access_tokens, sessions, apps, issuer, ring, clock, about),
        AuthorizationHandlers(apps, issuer.name),
        OpenIdHandlers(users, app.tokens, app.revocations, about),
    )
    app.add_service(
        "weft.user.v1.PartnerService",
        PartnerHandlers(database, partners, revocations, app.pages, audit, clock, grantable),
        ClientHandlers(database, partners, revocations, app.pages, audit, clock),
        usage,
        MemberHandlers(
            database,
            partners,
            members,
            users,
            codes,
            code_rows,
            revocations,
            origins,
            mails,
            app.pages,
            audit,
            clock,
        ),
    )
    app.add_service(
        "weft.user.v1.UserService",
        UserHandlers(database, users, cached, app.outbox, app.pages, audit, clock),
        ErasureHandlers(
            database,
            users,
            persons,
            session_rows,
            sign_ups,
            code_rows,
            members,
            partners,
            erasures,
            reauthentication,
            events,
            audit,
            clock,
        ),
        ExportHandlers(users, Export(persons, trail, app.clients), reauthentication, app.pages),
        UserChangeHandlers(database, users, session_rows, events, audit, clock),
        UserTotpHandlers(users, totp, reauthentication),
        UserPasskeyHandlers(users, passkeys, reauthentication, app.pages),
        ConsentHandlers(database, rows, session_rows, users, app.pages, audit, clock),
        SessionHandlers(database, users, open_sessions, session_rows, app.pages, audit, clock),
        RoleHandlers(database, users, session_rows, audit, clock),
    )

    app.schedule(600, ring.rotate, "rotate signing keys")


if __name__ == "__main__":
    process.main(
        "user",
        build,
        metadata=tables.metadata,
        migrations=MIGRATIONS,
        bootstrap=bootstrap,
        commands={"keys": keys, "seed": seed},
    )
