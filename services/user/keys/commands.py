"""`python -m services.user keys list | rotate | revoke KID…`: what an operator does with signing keys."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from chassis.app import App
from chassis.settings import SettingsError
from services.user.keys import domain, ring
from services.user.keys.domain import SigningKey
from services.user.keys.repository import KeyRepository

USAGE = "say `keys list`, `keys rotate` or `keys revoke KID…`"


async def keys(app: App, words: Sequence[str]) -> AsyncIterator[str]:
    """Carry out the command; yields what to tell the operator. Raises `SettingsError` for words that it does not know."""
    match list(words):
        case [] | ["list"]:
            pass
        case ["rotate"]:
            if await ring.of_app(app).request() is None:
                yield "The next key is published already; none was made."
        case ["revoke", *kids] if kids:
            try:
                await ring.of_app(app).revoke(kids)
            except LookupError as error:
                raise SettingsError(f"There is no signing key {error}: `keys list` shows them.") from None
            yield f"Ended at once, with every token that was signed with it: {', '.join(kids)}."
        case _:
            raise SettingsError(f"There is no such command: {USAGE}.")
    for line in _described(await KeyRepository(app.database, app.vault).list(), app.clock.now()):
        yield line


def _described(keys: Sequence[SigningKey], now: datetime) -> list[str]:
    signing = domain.signer(keys, now).kid if keys else ""
    return [f"{key.kid} {_state(key, signing, now)}" for key in keys] or ["There is no signing key yet."]


def _state(key: SigningKey, signing: str, now: datetime) -> str:
    if key.kid == signing:
        return f"signs since {key.signs_from:%Y-%m-%d %H:%M} UTC" if key.signs_from <= now else "signs"
    if key.signs_from > now:
        return f"is published, signs from {key.signs_from:%Y-%m-%d %H:%M} UTC"
    return "signs no more; it is published until its last token has expired"
