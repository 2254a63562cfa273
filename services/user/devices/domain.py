"""What a device is: a family of browsers on a system, on a network."""

from datetime import datetime, timedelta

MAX_DEVICES = 50
"""Of a user; one more forgets the one that was not seen for longest."""
LIFETIME = timedelta(days=400)
"""How long a device is known after its last sign-in."""

_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
"""By what their user agents contain: each of them also contains what stands below it."""
_SYSTEMS = {
    "Windows": "Windows",
    "iPhone": "iOS",
    "iPad": "iPadOS",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}
UNKNOWN = "a program"


def family(user_agent: str) -> str:
    """`Firefox on Windows`; made of our words only, because the text of a caller must not reach a mail."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in user_agent), UNKNOWN)
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


def is_first(known: int, created_at: datetime, now: datetime) -> bool:
    """Whether a sign-in is the first ever of an account: it knows no device, and is too young to have forgotten one."""
    return known == 0 and now - created_at < LIFETIME
