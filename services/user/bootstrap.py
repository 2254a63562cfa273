"""First data: an operator and a partner's client with credentials of the environment. Runs again without effect."""

from datetime import datetime

from chassis import addresses, ids
from chassis.app import App
from chassis.settings import SettingsError
from chassis.storage.database import Transaction
from services.user.keys.repository import KeyRepository
from services.user.keys.ring import KeyRing
from services.user.partners import domain as partnership
from services.user.partners.domain import Client, Partner
from services.user.partners.repository import PartnerRepository
from services.user.passwords.passwords import Passwords
from services.user.users.domain import ACTIVE, ADMIN, CUSTOMER, OPERATOR, User
from services.user.users.repository import UserRepository

PLAN = "premium"
PARTNER_SCOPES = ("orders.read", "orders.write", "payments.read", "products.write", "users.read", "users.write")


async def bootstrap(app: App) -> None:
    """Make what is missing of signing key, operator and client, and bring what is there up to the environment."""
    await KeyRing(app.database, KeyRepository(app.database, app.vault), app.clock).rotate()
    settings = app.settings
    if settings.operator_email:
        await _set_operator(app, settings.operator_email, settings.operator_password.get_secret_value())
    if settings.partner_client_id:
        await _set_client(app, settings.partner_client_id, settings.partner_client_secret.get_secret_value())


async def _set_operator(app: App, email: str, password: str) -> None:
    if problem := addresses.problem(email):
        raise SettingsError(f"WEFT_OPERATOR_EMAIL: {problem}.")
    if not 12 <= len(password) <= 128:
        raise SettingsError("WEFT_OPERATOR_PASSWORD: 12 to 128 characters.")
    users, passwords, now = UserRepository(app.database, app.vault), Passwords(), app.clock.now()
    async with app.database.transaction() as tx:
        there = await users.lock_person(tx, email)
        known = there is not None and await passwords.verify(there.password_hash, password)
        wanted = User(
            user_id=there.user_id if there else ids.new("usr", now),
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
            password_hash=there.password_hash if there and known else await passwords.hash(password),
        )
        if there is None:
            await users.add(tx, wanted)
        elif not known or (there.roles, there.plan, there.state) != (wanted.roles, PLAN, ACTIVE):
            await users.set_operator(tx, there.user_id, wanted)


async def _set_client(app: App, client_id: str, secret: str) -> None:
    if not secret:
        raise SettingsError("WEFT_PARTNER_CLIENT_SECRET: missing, while WEFT_PARTNER_CLIENT_ID is set.")
    partners, now = PartnerRepository(app.database, app.vault), app.clock.now()
    account = await partners.find_account(client_id, now)
    async with app.database.transaction() as tx:
        if account is None:
            await _add_client(tx, partners, client_id, now)
        if account is None or partners.hash_secret(secret) not in account.secret_hashes:
            await partners.set_secret(tx, client_id, secret, now)


async def _add_client(tx: Transaction, partners: PartnerRepository, client_id: str, now: datetime) -> None:
    partner = Partner(
        partner_id=ids.new("prt", now),
        display_name="First partner",
        plan=PLAN,
        scopes=PARTNER_SCOPES,
        state=partnership.ACTIVE,
        created_at=now,
        updated_at=now,
    )
    await partners.add(tx, partner)
    await partners.add_client(tx, Client(client_id, partner.partner_id, "First client", PARTNER_SCOPES, now))
