"""What staging and production refuse of a service's settings, each in one sentence, and what loosens it."""

import json
import re
from typing import Any

import pytest

from chassis import settings
from chassis.environments import rule
from chassis.environments.services import DEVELOPMENT_DATA_KEY, RULES

STAGED, PRODUCTION = rule.STAGED, rule.PRODUCTION
FIT = {
    "WEFT_ISSUER": "https://weft.test",
    "WEFT_DATABASE_URL": "postgresql://weft:word@postgres:5432?sslmode=verify-full",
    "WEFT_REDIS_URL": "rediss://:word@valkey:6379",
    "WEFT_DATA_KEYS": json.dumps({"k1": "A" * 43 + "="}),
    "WEFT_TLS_CERT": "/a",
    "WEFT_TLS_KEY": "/b",
    "WEFT_TLS_CA": "/c",
    "WEFT_SMTP_URL": "smtp://user:word@mail.test?starttls=required",
    "WEFT_MAIL_FROM": "Weft <no-reply@weft.test>",
    "WEFT_SMS_URL": "https://account:token@api.twilio.com",
    "WEFT_SMS_FROM": "+491701234567",
    "WEFT_STRIPE_KEY": "sk_live_key",
}
REFUSED = [
    (STAGED, "WEFT_TLS", "off", "off is for development"),
    (STAGED, "WEFT_ISSUER", "http://weft.test", "cross http:// in the clear"),
    (STAGED, "WEFT_ISSUER", "https://weft.local", "it is a host of examples"),
    (STAGED, "WEFT_ISSUER", "https://weft.example", "it is a host of examples"),
    (STAGED, "WEFT_ISSUER", "https://api.weft.EXAMPLE:8443", "it is a host of examples"),
    (STAGED, "WEFT_ISSUER", "https://localhost:8443", "it is a host of examples"),
    (STAGED, "WEFT_DATABASE_URL", "postgresql://weft:word@postgres:5432", "without sslmode=verify-full"),
    (STAGED, "WEFT_DATABASE_URL", "postgresql://weft:word@postgres?sslmode=require", "without sslmode=verify-full"),
    (STAGED, "WEFT_DATABASE_URL", "postgresql://weft:word@127.0.0.1,postgres", "without sslmode=verify-full"),
    (STAGED, "WEFT_DATABASE_URL", "postgresql://weft:word@127.0.0.1?hostaddr=10.1.2.3", "without sslmode=verify-full"),
    (STAGED, "WEFT_DATABASE_URL", f"{FIT['WEFT_DATABASE_URL'].replace('word', 'development')}", "everybody knows the password"),
    (STAGED, "WEFT_REDIS_URL", "redis://:word@valkey:6379", "without verified TLS"),
    (STAGED, "WEFT_REDIS_URL", "rediss://:word@valkey:6379?ssl_cert_reqs=none", "without verified TLS"),
    (STAGED, "WEFT_REDIS_URL", "rediss://:word@valkey:6379?ssl_check_hostname=False", "without verified TLS"),
    (STAGED, "WEFT_REDIS_URL", "rediss://:development@valkey:6379", "everybody knows the password"),
    (STAGED, "WEFT_DATA_KEYS", json.dumps({"k1": DEVELOPMENT_DATA_KEY}), "everybody knows the key"),
    (STAGED, "WEFT_MAIL_FROM", "Weft <no-reply@weft.local>", "a domain of examples"),
    (STAGED, "WEFT_MAIL_FROM", "no-reply@mail.weft.example", "a domain of examples"),
    (PRODUCTION, "WEFT_SMS_FROM", "+15005550006", "a number for examples"),
    (PRODUCTION, "WEFT_SMS_FROM", "+12025550100", "a number for examples"),
    (STAGED, "WEFT_SMTP_URL", "smtp://user:word@mail.test", "offers no STARTTLS"),
    (STAGED, "WEFT_SMTP_URL", "smtp://user:word@mail.test?starttls=offered", "offers no STARTTLS"),
    (STAGED, "WEFT_SMTP_URL", "smtp://user:word@mail.test?starttls=off", "offers no STARTTLS"),
    (STAGED, "WEFT_SMTP_FALLBACK_URL", "smtp://mail2.test", "offers no STARTTLS"),
    (STAGED, "WEFT_SMS_URL", "http://account:token@sms.test", "crosses http:// in the clear"),
    (STAGED, "WEFT_SMS_FALLBACK_URL", "http://account:token@sms.test", "crosses http:// in the clear"),
    (STAGED, "WEFT_STRIPE_URL", "http://stripe.test", "crosses http:// in the clear"),
    (PRODUCTION, "WEFT_STRIPE_KEY", "sk_test_key", "a key for tests moves no money"),
    (PRODUCTION, "WEFT_STRIPE_KEY", "rk_test_key", "a key for tests moves no money"),
    (STAGED, "WEFT_OPERATOR_PASSWORD", "for development only", "everybody knows the password"),
    (PRODUCTION, "WEFT_PARTNER_CLIENT_ID", "cli_1", "a partner for demonstrations"),
    (PRODUCTION, "WEFT_FAULTS", '["no-cache"]', "not in WEFT_FAULTS_ALLOWED"),
    (PRODUCTION, "WEFT_FAULTS_FILE", "/somewhere", "WEFT_FAULTS_ALLOWED names none"),
    (PRODUCTION, "WEFT_WEBHOOK_ALLOWED", '["10.0.0.0/8"]', "private addresses"),
    (PRODUCTION, "WEFT_WEBHOOK_TIME_SCALE", "0.5", "it is for tests"),
    (PRODUCTION, "WEFT_RECORD_REASONS", "/reasons", "it is for tests"),
]  # fmt: skip


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("WEFT_RECORD_REASONS", raising=False)  # which the tests' own run has

    def use(environment: str, **more: str) -> settings.Settings:
        for name, value in {**FIT, **more, "WEFT_ENVIRONMENT": environment}.items():
            monkeypatch.setenv(name, value)
        return settings.read()

    return use


@pytest.mark.parametrize("environment", ["production", "staging", "development"])
@pytest.mark.parametrize(("environments", "setting", "value", "sentence"), REFUSED)
def test_an_environment_refuses_what_is_not_for_it(
    read: Any, environments: tuple[str, ...], setting: str, value: str, sentence: str, environment: str
) -> None:
    if environment not in environments:
        read(environment, **{setting: value})
        return
    with pytest.raises(settings.SettingsError, match=sentence) as refused:
        read(environment, **{setting: value})
    said = str(refused.value)
    assert re.fullmatch(rf"{setting}: [^;]+; [^;]+\.", said), "one sentence: the cause; the remedy"
    assert "WEFT_ENVIRONMENT" not in said
    assert "word" not in said.replace("password", "")


def test_every_rule_has_a_case() -> None:
    cases = {(setting, environments) for environments, setting, _, _ in REFUSED}
    assert {(found.setting, found.environments) for found in RULES} == cases


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WEFT_DATABASE_URL": "postgresql://weft:word@/?host=/var/run/postgresql"},
        {"WEFT_DATABASE_URL": "postgresql://weft:word@127.0.0.1:5432"},  # a proxy in the same pod
        {"WEFT_DATABASE_URL": "postgresql://weft:word@postgres?sslrootcert=system"},
        {"WEFT_REDIS_URL": ""},
        {"WEFT_REDIS_URL": "unix:///run/valkey.sock"},
        {"WEFT_REDIS_URL": "redis://:word@localhost:6379"},
        {"WEFT_SMTP_URL": "smtps://user:word@mail.test"},
        {"WEFT_SMTP_URL": "", "WEFT_MAIL_FROM": "no-reply@weft.local"},  # nobody sends by it
        {"WEFT_STRIPE_KEY": "sk_test_key", "WEFT_SANDBOX_FOR_LIVE": "true"},
        {"WEFT_FAULTS_FILE": "", "WEFT_RECORD_REASONS": ""},
        {
            "WEFT_CLEARTEXT_ALLOWED": json.dumps([name for name in rule.CLEARTEXT if name != "WEFT_SMTP_FALLBACK_URL"]),
            "WEFT_DATABASE_URL": "postgresql://weft:word@postgres",
            "WEFT_REDIS_URL": "redis://:word@valkey",
            "WEFT_SMTP_URL": "smtp://mail.test",
            "WEFT_SMS_URL": "http://account:token@sms.test",
            "WEFT_STRIPE_URL": "http://stripe.test",
        },
    ],
)
def test_production_starts_with_what_is_safe_or_allowed(read: Any, more: dict[str, str]) -> None:
    assert read("production", **more)


def test_what_may_be_in_the_clear_is_a_setting_of_a_connection(read: Any) -> None:
    with pytest.raises(
        settings.SettingsError, match="WEFT_CLEARTEXT_ALLOWED: 'WEFT_TLS' is none of WEFT_DATABASE_URL, "
    ):
        read("production", WEFT_CLEARTEXT_ALLOWED='["WEFT_TLS"]')


@pytest.mark.parametrize("setting", ["WEFT_TLS_CERT", "WEFT_TLS_KEY", "WEFT_TLS_CA"])
def test_an_empty_name_of_a_certificate_is_none(read: Any, setting: str) -> None:
    with pytest.raises(settings.SettingsError, match=r"^Set WEFT_TLS_CERT, WEFT_TLS_KEY and WEFT_TLS_CA\.$"):
        read("production", **{setting: ""})
