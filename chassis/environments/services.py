"""What the environments refuse of a service's settings (docs/settings.md has the table)."""

import base64
import re
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qs, unquote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from chassis.environments.addresses import crosses_in_the_clear, is_example, is_local, split
from chassis.environments.rule import CLEARTEXT_ALLOWED, PRODUCTION, STAGED, Rule

DEVELOPMENT_DATA_KEY = base64.b64encode(b"for development only, 32 bytes  ").decode()
"""The data key of the manifests for development, which hold nothing of value."""
DEVELOPMENT_PASSWORD = "development"  # noqa: S105 - no secret: it is refused
"""The password of their databases and caches."""
OPERATOR_PASSWORD = "for development only"  # noqa: S105 - no secret: it is refused
"""The password of their operator."""

_EXAMPLE_NUMBER = re.compile(r"\+1500555[0-9]{4}|\+1[0-9]{3}55501[0-9]{2}")
"""Twilio's numbers for tests, and those of films."""
_KNOWN = "everybody knows the password of the development manifests"
_NEW = "give the role one of its own, in the store of secrets"
_EXAMPLE = "it is a host of examples"


def _secret(settings: Any, name: str) -> str:
    return str(getattr(settings, name.removeprefix("WEFT_").lower()).get_secret_value())


def _database(settings: Any) -> dict[str, str]:
    try:
        return {key: str(value) for key, value in conninfo_to_dict(_secret(settings, "WEFT_DATABASE_URL")).items()}
    except ProgrammingError:  # which the process says by itself
        return {"host": "/"}


def _is_unverified_database(settings: Any) -> bool:
    read = _database(settings)
    hosts = (read.get("hostaddr") or read.get("host") or "").split(",")
    is_verified = read.get("sslmode") == "verify-full" or read.get("sslrootcert") == "system"
    return not is_verified and not all(is_local(host) for host in hosts)


def _is_unverified_cache(settings: Any) -> bool:
    url = split(_secret(settings, "WEFT_REDIS_URL"))
    query = parse_qs(url.query)
    if url.scheme == "rediss":
        names = query.get("ssl_check_hostname", ["true"])[-1].lower()
        return query.get("ssl_cert_reqs", ["required"])[-1] != "required" or names not in ("true", "1", "yes", "y", "t")
    return url.scheme == "redis" and not is_local(url.hostname or "")


def _has_development_password(settings: Any, name: str) -> bool:
    return unquote(split(_secret(settings, name)).password or "") == DEVELOPMENT_PASSWORD


def _is_open_mail(settings: Any, name: str) -> bool:
    url = split(_secret(settings, name))
    starttls = parse_qs(url.query).get("starttls", ["offered"])[-1]
    return url.scheme == "smtp" and starttls != "required" and not is_local(url.hostname or "")


def _has_example_sender(settings: Any) -> bool:
    sends = _secret(settings, "WEFT_SMTP_URL") or _secret(settings, "WEFT_VAPID_KEY")
    return bool(sends) and is_example(parseaddr(settings.mail_from)[1].rpartition("@")[2])


def _mail(name: str) -> Rule:
    cause = (
        "a server that offers no STARTTLS, or whose offer somebody takes away, gets mails and the password in the clear"
    )
    return Rule(
        name,
        STAGED,
        lambda s: _is_open_mail(s, name) and name not in s.cleartext_allowed,
        cause,
        f"write smtps://, or smtp:// with ?starttls=required, or, {CLEARTEXT_ALLOWED}",
    )


def _https(name: str) -> Rule:
    def is_broken(settings: Any) -> bool:
        value = getattr(settings, name.removeprefix("WEFT_").lower())
        url = value if isinstance(value, str) else value.get_secret_value()
        return crosses_in_the_clear(url) and name not in settings.cleartext_allowed

    return Rule(
        name, STAGED, is_broken, "its key crosses http:// in the clear", f"write https://, or, {CLEARTEXT_ALLOWED}"
    )


def _known_password(name: str) -> Rule:
    return Rule(name, STAGED, lambda s: _has_development_password(s, name), _KNOWN, _NEW)


RULES: tuple[Rule, ...] = (
    Rule(
        "WEFT_TLS", STAGED, lambda s: s.tls == "off", "off is for development",
        "name certificates in WEFT_TLS_CERT, WEFT_TLS_KEY and WEFT_TLS_CA, and leave it on",
    ),
    Rule(
        "WEFT_ISSUER", STAGED, lambda s: not s.issuer.startswith("https://"),
        "tokens and passwords cross http:// in the clear", "write the https:// URL under which callers reach the edge",
    ),
    Rule(
        "WEFT_ISSUER", STAGED, lambda s: is_example(split(s.issuer).hostname or ""), _EXAMPLE,
        "write the URL under which callers reach the edge",
    ),
    Rule(
        "WEFT_DATABASE_URL", STAGED,
        lambda s: _is_unverified_database(s) and "WEFT_DATABASE_URL" not in s.cleartext_allowed,
        "without sslmode=verify-full anybody on the way can be the server",
        f"add ?sslmode=verify-full&sslrootcert= and the file of its authority, or, {CLEARTEXT_ALLOWED}",
    ),
    Rule("WEFT_DATABASE_URL", STAGED, lambda s: _database(s).get("password") == DEVELOPMENT_PASSWORD, _KNOWN, _NEW),
    Rule(
        "WEFT_REDIS_URL", STAGED, lambda s: _is_unverified_cache(s) and "WEFT_REDIS_URL" not in s.cleartext_allowed,
        "the password and what is cached cross the network without verified TLS",
        f"write rediss:// and leave its checks on, or, {CLEARTEXT_ALLOWED}",
    ),
    _known_password("WEFT_REDIS_URL"),
    Rule(
        "WEFT_DATA_KEYS", STAGED,
        lambda s: any(key.get_secret_value() == DEVELOPMENT_DATA_KEY for key in s.data_keys.values()),
        "everybody knows the key of the development manifests",
        "make one with `openssl rand -base64 32`, for the store of secrets",
    ),
    Rule(
        "WEFT_MAIL_FROM", STAGED, _has_example_sender, "no mail server takes a sender of a domain of examples",
        "write an address of the domain that mails come from",
    ),
    Rule(
        "WEFT_SMS_FROM", PRODUCTION, lambda s: bool(_EXAMPLE_NUMBER.fullmatch(s.sms_from)), "it is a number for examples",
        "write the number or the messaging service that the provider has given you",
    ),
    _mail("WEFT_SMTP_URL"),
    _mail("WEFT_SMTP_FALLBACK_URL"),
    _https("WEFT_SMS_URL"),
    _https("WEFT_SMS_FALLBACK_URL"),
    _https("WEFT_STRIPE_URL"),
    Rule(
        "WEFT_STRIPE_KEY", PRODUCTION,
        lambda s: _secret(s, "WEFT_STRIPE_KEY").startswith(("sk_test_", "rk_test_")) and not s.sandbox_for_live,
        "a key for tests moves no money",
        "write the key of live mode, or set WEFT_SANDBOX_FOR_LIVE=true where orders in LIVE are to move none",
    ),
    Rule(
        "WEFT_OPERATOR_PASSWORD", STAGED, lambda s: _secret(s, "WEFT_OPERATOR_PASSWORD") == OPERATOR_PASSWORD, _KNOWN,
        "give the operator one of their own, in the store of secrets",
    ),
    Rule(
        "WEFT_PARTNER_CLIENT_ID", PRODUCTION, lambda s: bool(s.partner_client_id), "it makes a partner for demonstrations",
        "unset it, and make partners by POST /v1/partners",
    ),
    Rule(
        "WEFT_FAULTS", PRODUCTION, lambda s: not set(s.faults) <= set(s.faults_allowed),
        "a failure switch is on that is not in WEFT_FAULTS_ALLOWED", "turn it off, or name it there for a trial",
    ),
    Rule(
        "WEFT_FAULTS_FILE", PRODUCTION, lambda s: bool(s.faults_file) and not s.faults_allowed,
        "it turns on failures, and WEFT_FAULTS_ALLOWED names none", "unset it, or name there those of a trial",
    ),
    Rule(
        "WEFT_WEBHOOK_ALLOWED", PRODUCTION, lambda s: bool(s.webhook_allowed), "it opens private addresses to webhooks",
        "unset it",
    ),
    Rule(
        "WEFT_WEBHOOK_TIME_SCALE", PRODUCTION, lambda s: s.webhook_time_scale < 1, "it is for tests", "unset it",
    ),
    Rule(
        "WEFT_RECORD_REASONS", PRODUCTION, lambda s: bool(s.record_reasons), "it is for tests, and its file grows for ever",
        "unset it",
    ),
)  # fmt: skip
"""In the order in which they are said."""
