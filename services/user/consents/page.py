"""The page on which a person signs in and decides about an app. It holds no session: the access token stays in its script."""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

_FOLDER = Path(__file__).parent
_SCRIPT, _STYLE = (_FOLDER / "page.js").read_text(), (_FOLDER / "page.css").read_text()
_WORDS = {
    "openid": "Know who you are",
    "profile": "See your name",
    "email": "See your e-mail address",
    "offline_access": "Do all this while you are away, until you take it back",
    "users.read": "See your account",
    "orders.read": "See your orders",
    "orders.write": "Place and cancel orders for you",
    "payments.read": "See how orders were paid",
    "inbox.read": "See your inbox",
}


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Only the page's own script and style run, and they reach only this origin; no other page may frame it."""


def consent(client_name: str, scopes: Collection[str], redirect_uri: str, request: Mapping[str, str]) -> str:
    """The page that asks: who the app is, what it wants, where the answer goes."""
    parts = urlsplit(redirect_uri)
    wanted = "".join(f"<li>{escape(_WORDS.get(scope, scope))}</li>" for scope in scopes)
    return _whole(
        f"<h1>{escape(client_name)}</h1>"
        f"<p>wants to act for you, and sends you back to <b>{escape(parts.netloc or parts.scheme)}</b>.</p>"
        '<form id="sign-in"><label>E-mail address<input name="email" type="email" autocomplete="username" required></label>'
        '<label>Password<input name="password" type="password" autocomplete="current-password" required></label>'
        '<label id="second" hidden>Code of your authenticator app, or a recovery code<input name="code" '
        'autocomplete="one-time-code" autocapitalize="none" spellcheck="false"></label><button>Sign in</button>'
        '<button id="passkey" type="button" hidden>Sign in with a passkey</button></form>'
        f'<section id="decision" hidden><p>It will be able to:</p><ul>{wanted}</ul>'
        '<button id="approve">Allow</button><button id="deny">Refuse</button></section>'
        '<p id="message" role="alert"></p><noscript>This page needs JavaScript.</noscript>',
        json.dumps(dict(request)),
    )


def refusal(sentence: str) -> str:
    """The page for a request that leads nowhere."""
    return _whole(f"<h1>This link does not work</h1><p>{escape(sentence)}</p>", "null")


def _whole(body: str, request: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Sign in</title><style>{_STYLE}</style>"
        f'<main data-request="{escape(request)}">{body}</main><script>{_SCRIPT}</script></html>'
    )
