"""`python -m services.user seed COUNT`: people with made-up names, all with one password, for trials and measurements."""

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence

from chassis.app import App
from chassis.commands import seeding
from chassis.commands.seeding import Plan, Rows
from services.user.passwords.passwords import Passwords
from services.user.users.domain import ACTIVE, User
from services.user.users.rows import UserRows
from services.user.users.tables import users

GIVEN = ("Ada", "Bruno", "Clara", "David", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jakob", "Katja", "Luca", "Mila",
         "Noah", "Olga", "Paul", "Rosa", "Samir", "Tove", "Uma", "Vera", "Wim", "Yusuf", "Zoe")  # fmt: skip
FAMILY = ("Adler", "Berger", "Cerny", "Dvorak", "Egger", "Fischer", "Gruber", "Horvat", "Ivanova", "Jensen", "Kovacs",
          "Lang", "Moser", "Novak", "Okafor", "Petrov", "Rossi", "Steiner", "Toth", "Urban", "Vogel", "Wagner")  # fmt: skip
LOCALES = ("de-AT", "de", "en", "en-GB")


async def seed(app: App, words: Sequence[str]) -> AsyncIterator[str]:
    """Make the users; yields the progress, and at last with what they sign in. Raises `SettingsError`."""
    plan = seeding.read(app.settings, app.clock.now(), words).plan
    password = secrets.token_urlsafe(12)
    hashed = await Passwords().hash(password)
    stored = UserRows(app.vault)

    def rows(numbers: Iterable[int]) -> Rows:
        return {users: [stored.values(_user(plan, number, hashed)) for number in numbers]}

    async for line in seeding.fill(app.database_url, plan, "users", rows, tables=[users]):
        yield line
    yield f"They sign in as {_email(plan, 0)} to {_email(plan, plan.count - 1)} with the password {password}"


def _email(plan: Plan, number: int) -> str:
    return f"customer-{number}.{plan.run}@example.com"


def _user(plan: Plan, number: int, password_hash: str) -> User:
    given, family = GIVEN[plan.draw(number, len(GIVEN), "given")], FAMILY[plan.draw(number, len(FAMILY), "family")]
    made = plan.time(number)
    return User(
        user_id=plan.id("usr", number),
        partner_id="",
        email=_email(plan, number),
        display_name=f"{given} {family}",
        given_name=given,
        family_name=family,
        locale=LOCALES[plan.draw(number, len(LOCALES), "locale")],
        state=ACTIVE,
        external_reference="",
        roles=("customer",),
        plan="free",
        created_at=made,
        updated_at=made,
        password_hash=password_hash,
        events=1,
    )
