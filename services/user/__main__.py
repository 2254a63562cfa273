"""The user service: users, sessions, partners, and the access tokens of all callers."""

import gc

gc.disable()  # until it serves: the imports leave next to no garbage, and collecting takes a seventh of their time

from pathlib import Path

from chassis import process
from chassis.app import RETRY_FOREVER, App
from chassis.queues.dead_letters import DeadLetters
from chassis.queues.worker import Worker
from services.user import tables
from services.user.accounts.accounts import Accounts
from services.user.accounts.domain import VerificationCodeInvalid
from services.user.audit.handlers import AuditHandlers
from services.user.auth.cookies import RefreshCookie
from services.user.auth.handlers import AuthHandlers
from services.user.auth.passkey_handlers import PasskeyHandlers, UserPasskeyHandlers
from services.user.auth.sign_in import SignIn
from services.user.auth.totp_handlers import TotpHandlers, UserTotpHandlers
from services.user.bootstrap import bootstrap
from services.user.codes.domain import CodeInvalid
from services.user.codes.handlers import CodeHandlers
from services.user.consents.consent_handlers import ConsentHandlers
from services.user.consents.grants import Grants
from services.user.consents.handlers import AuthorizationHandlers
from services.user.consents.repository import ConsentRepository
from services.user.email_changes.changes import EmailChanges
from services.user.email_changes.handlers import EmailHandlers
from services.user.erasure.export import Export
from services.user.erasure.handlers import ErasureHandlers, ExportHandlers
from services.user.erasure.repository import PersonRepository
from services.user.erasure.worker import ErasureWorker
from services.user.keys.commands import keys
from services.user.keys.repository import CHANNEL as SIGNING_KEYS
from services.user.lifecycle.handlers import UserChangeHandlers
from services.user.members.handlers import MemberHandlers
from services.user.oauth.clients import ClientAuthentication
from services.user.oauth.handlers import OAuthHandlers
from services.user.oauth.metadata import metadata
from services.user.oauth.revocation import AccessTokens
from services.user.openid.handlers import OpenIdHandlers
from services.user.partners.client_handlers import ClientHandlers
from services.user.partners.handlers import PartnerHandlers
from services.user.password_changes.changes import PasswordChanges
from services.user.password_changes.confirmation import PasswordConfirmation
from services.user.password_changes.handlers import PasswordHandlers
from services.user.phones.handlers import PhoneHandlers
from services.user.phones.phones import Phones
from services.user.phones.repository import TextCountRepository
from services.user.revocations.feed import RevocationFeed
from services.user.revocations.handlers import RevocationHandlers
from services.user.revocations.repository import CHANNEL as REVOCATIONS
from services.user.roles.handlers import RoleHandlers
from services.user.roles.repository import RoleRepository
from services.user.seed import seed
from services.user.sessions.handlers import SessionHandlers
from services.user.usage.handlers import UsageHandlers
from services.user.usage.repository import UsageRepository
from services.user.users.cached import CHANNEL as USERS_CHANGED
from services.user.users.domain import CUSTOMER
from services.user.users.handlers import UserHandlers
from services.user.wiring import Parts

MIGRATIONS = Path(__file__).with_name("migrations")


async def build(app: App) -> None:
    """Wire the service."""
    parts = Parts(app)
    _serve_revocations(app, parts)
    _serve_auth(app, parts)
    _serve_oauth(app, parts)
    _serve_partners(app, parts)
    _serve_users(app, parts)
    app.tokens.use(parts.ring.published)
    app.on_notify(SIGNING_KEYS, parts.ring.changed)
    app.on_change(USERS_CHANGED, parts.cached.changed)
    app.run_in_background(parts.cached.run())
    app.schedule(600, parts.ring.rotate, "rotate signing keys")


def _serve_revocations(app: App, parts: Parts) -> None:
    feed = RevocationFeed(parts.revocations)
    app.revocations.use(feed.follow)
    app.on_notify(REVOCATIONS, feed.wake)
    app.on_stop(feed.stop)
    app.add_service("weft.user.v1.RevocationService", RevocationHandlers(feed))


def _serve_auth(app: App, parts: Parts) -> None:
    database, clock, users, passwords = app.database, app.clock, parts.users, parts.passwords
    origins, mails, audit, codes, code_rows = parts.origins, parts.mails, parts.audit, parts.codes, parts.code_rows
    accounts = Accounts(database, users, parts.sign_ups, passwords, app.outbox, audit, clock)
    sign_in = SignIn(users, passwords, parts.sign_ins, parts.totp, parts.sessions, parts.passkeys, origins)
    confirmation = PasswordConfirmation(users, passwords, origins, parts.sign_ins)
    changes = PasswordChanges(
        database, users, parts.session_rows, passwords, codes, code_rows, app.outbox, audit, clock
    )
    email_changes = EmailChanges(database, users, codes, code_rows, app.outbox, audit, clock)
    phones = Phones(
        database,
        users,
        codes,
        code_rows,
        TextCountRepository(app.vault),
        app.outbox,
        audit,
        clock,
        app.settings.texts_of_network,
    )
    verifications, resets = (
        parts.limiter(app, VerificationCodeInvalid, "verify."),
        parts.limiter(app, CodeInvalid, "reset."),
    )
    cookie = RefreshCookie(parts.issuer.name)
    app.add_service(
        "weft.user.v1.AuthService",
        AuthHandlers(accounts, sign_in, parts.sessions, origins, mails, verifications, cookie),
        TotpHandlers(parts.totp, confirmation, origins),
        PasskeyHandlers(users, parts.passkeys, parts.totp, confirmation, parts.reauthentication, origins, cookie),
        PasswordHandlers(changes, confirmation, origins, mails, resets),
        EmailHandlers(email_changes, confirmation, origins, mails),
        PhoneHandlers(phones, origins),
        CodeHandlers(codes),
    )


def _serve_oauth(app: App, parts: Parts) -> None:
    database, clock, clients, issuer, audit = app.database, app.clock, parts.clients, parts.issuer, parts.audit
    authentication = ClientAuthentication(clients, issuer.name, clock)
    access_tokens = AccessTokens(database, parts.session_rows, parts.revocations, app.tokens, audit, clock)
    # An account is changed by its owner in person.
    of_people = set(app.contract.scopes_by_role[CUSTOMER]) - {"users.write"}
    apps = Grants(
        database,
        ConsentRepository(database),
        clients,
        parts.users,
        parts.session_rows,
        parts.open_sessions,
        issuer,
        audit,
        clock,
        of_people,
    )
    about = metadata(issuer.name, sorted({method.scope for method in app.contract.methods if method.scope}))
    app.add_service(
        "weft.user.v1.OAuthService",
        OAuthHandlers(clients, authentication, access_tokens, parts.sessions, apps, issuer, parts.ring, clock, about),
        AuthorizationHandlers(apps, issuer.name),
        OpenIdHandlers(parts.users, app.tokens, app.revocations, about),
    )


def _serve_partners(app: App, parts: Parts) -> None:
    database, clock, partners, audit = app.database, app.clock, parts.partners, parts.audit
    usage_rows = UsageRepository(database, clock)
    usage = UsageHandlers(partners, usage_rows, app.pages, app.contract)
    app.usage.use(usage_rows.add)
    app.add_service("weft.user.v1.UsageService", usage)
    grantable = {scope.name for scope in app.contract.scopes.values() if scope.partners}
    app.add_service(
        "weft.user.v1.PartnerService",
        PartnerHandlers(database, partners, parts.revocations, app.pages, audit, clock, grantable, app.outbox),
        ClientHandlers(database, partners, parts.clients, parts.revocations, app.pages, audit, clock),
        usage,
        MemberHandlers(
            database,
            partners,
            parts.members,
            parts.users,
            parts.codes,
            parts.code_rows,
            parts.revocations,
            parts.origins,
            parts.mails,
            app.pages,
            audit,
            clock,
        ),
    )


def _serve_users(app: App, parts: Parts) -> None:
    database, clock, users, session_rows = app.database, app.clock, parts.users, parts.session_rows
    events, audit, reauthentication, roles = parts.events, parts.audit, parts.reauthentication, RoleRepository()
    persons, erasures = PersonRepository(database, app.vault), app.queue("erasure_jobs", **RETRY_FOREVER)
    # Not of erasures: one that is dead is still to be done.
    dead_letters = DeadLetters(database, [app.outbox.queue.table])
    app.add_worker(Worker(erasures, ErasureWorker(database, persons, app.clients, dead_letters), batch=1))
    app.add_service("weft.user.v1.AuditService", AuditHandlers(parts.trail, app.pages))
    app.add_service(
        "weft.user.v1.UserService",
        UserHandlers(database, users, parts.cached, app.outbox, app.pages, audit, clock),
        ErasureHandlers(
            database,
            users,
            roles,
            persons,
            session_rows,
            parts.sign_ups,
            parts.code_rows,
            parts.members,
            parts.partners,
            erasures,
            reauthentication,
            events,
            audit,
            clock,
        ),
        ExportHandlers(users, Export(persons, parts.trail, app.clients), reauthentication, app.pages),
        UserChangeHandlers(database, users, roles, session_rows, events, audit, clock),
        UserTotpHandlers(users, parts.totp, reauthentication),
        UserPasskeyHandlers(users, parts.passkeys, reauthentication, app.pages),
        ConsentHandlers(database, ConsentRepository(database), session_rows, users, app.pages, audit, clock),
        SessionHandlers(database, users, parts.open_sessions, session_rows, app.pages, audit, clock),
        RoleHandlers(database, users, roles, session_rows, audit, clock),
    )


if __name__ == "__main__":
    process.main(
        "user",
        build,
        metadata=tables.metadata,
        migrations=MIGRATIONS,
        bootstrap=bootstrap,
        commands={"keys": keys, "seed": seed},
    )
