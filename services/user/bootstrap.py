"""First data: an operator and a partner's client, with credentials from the environment. Repeating it changes nothing."""

from datetime import datetime

from chassis import ids
from chassis.app import App
from chassis.errors import RequestInvalid
from chassis.settings import SettingsError
from chassis.storage.database import Transaction
from chassis.values import addresses
from services.user.audit.audit import Audit
from services.user.audit.domain import changed_fields
from services.user.audit.repository import AuditRepository
from services.user.keys import ring
from services.user.partners import domain as partnership
from services.user.partners.client_repository import ClientRepository
from services.user.partners.domain import Client, Partner
from services.user.partners.repository import PartnerRepository
from services.user.passwords.passwords import Passwords
from services.user.passwords.rules import PasswordTooCommon, refuse_weak
from services.user.users.domain import ACTIVE, ADMIN, CUSTOMER, OPERATOR, User
from services.user.users.repository import UserRepository

PLAN = "premium"
PARTNER_SCOPES = (
    "orders.read", "orders.write", "payments.read", "products.write", "users.read", "users.write", "webhooks.manage",
)  # fmt: skip


async def bootstrap(app: App) -> None:
    """Create signing key, operator and client if missing, and update existing ones to match the environment."""
    await ring.of_app(app).rotate()
    settings = app.settings
    if settings.operator_email:
        await _set_operator(app, settings.operator_email, settings.operator_password.get_secret_value())
    if settings.partner_client_id:
        await _set_client(app, settings.partner_client_id, settings.partner_client_secret.get_secret_value())


async def _set_operator(app: App, email: str, password: str) -> None:
    if problem := addresses.problem(email):
        raise SettingsError(f"WEFT_OPERATOR_EMAIL: {problem}.")
    try:
        refuse_weak(password, "password", (email,))
    except (RequestInvalid, PasswordTooCommon):
        password = ""
    if not password or len(password) > 128:
        raise SettingsError("WEFT_OPERATOR_PASSWORD: 12 to 128 characters, and none that is easily guessed.")
    users, passwords, now = UserRepository(app.database, app.vault), Passwords(), app.clock.now()
    async with app.database.transaction() as tx:
        existing = await users.lock_person(tx, email)
        unchanged = existing is not None and await passwords.verify(existing.password_hash, password)
        operator = User(
            user_id=existing.user_id if existing else ids.new("usr", now),
            partner_id="",
            email=email,
            display_name="Operator",
            locale="en",
            state=ACTIVE,
            external_reference="",
            roles=(CUSTOMER, OPERATOR, ADMIN),
            plan=PLAN,
            created_at=now,
            updated_at=now,
            password_hash=existing.password_hash if existing and unchanged else await passwords.hash(password),
        )
        audit = Audit(AuditRepository(app.database, app.vault), app.clock)
        if existing is None:
            await users.insert(tx, operator)
            await audit.record_command(tx, "bootstrap", "user.created", subject=operator.user_id)
        elif not unchanged or (existing.roles, existing.plan, existing.state) != (operator.roles, PLAN, ACTIVE):
            await users.update_operator(tx, existing.user_id, operator)
            changed = changed_fields(existing, operator)
            await audit.record_command(
                tx, "bootstrap", "user.operator_updated", subject=existing.user_id, fields=changed
            )


async def _set_client(app: App, client_id: str, secret: str) -> None:
    if not secret:
        raise SettingsError("WEFT_PARTNER_CLIENT_SECRET: missing, while WEFT_PARTNER_CLIENT_ID is set.")
    clients, now = ClientRepository(app.database, app.vault), app.clock.now()
    audit = Audit(AuditRepository(app.database, app.vault), app.clock)
    account = await clients.get_account(client_id, now)
    async with app.database.transaction() as tx:
        if account is None:
            await _create_client(tx, PartnerRepository(app.database), clients, client_id, now)
            await audit.record_command(tx, "bootstrap", "client.created", subject=client_id)
        if account is None or clients.hash_secret(secret) not in account.secret_hashes:
            await clients.replace_secrets(tx, client_id, secret, now)
            await audit.record_command(tx, "bootstrap", "client.secrets_replaced", subject=client_id)


async def _create_client(
    tx: Transaction, partners: PartnerRepository, clients: ClientRepository, client_id: str, now: datetime
) -> None:
    partner = Partner(
        partner_id=ids.new("prt", now),
        display_name="First partner",
        plan=PLAN,
        scopes=PARTNER_SCOPES,
        state=partnership.ACTIVE,
        created_at=now,
        updated_at=now,
    )
    await partners.insert(tx, partner)
    await clients.insert(tx, Client(client_id, partner.partner_id, "First client", PARTNER_SCOPES, now))
