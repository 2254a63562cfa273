"""Settings come from variables and from files of secrets; docs/settings.md has them all."""

import json
from pathlib import Path

import pytest

from chassis import settings
from codegen import settings_reference

KEY = "A" * 43 + "="


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEFT_SECRETS_FOLDER", str(tmp_path))
    monkeypatch.setenv("WEFT_TLS", "off")
    monkeypatch.setenv("WEFT_ENVIRONMENT", "development")
    (tmp_path / "weft_data_keys").write_text(json.dumps({"k1": KEY}) + "\n")
    (tmp_path / "weft_database_url").write_text("postgresql://weft:from-a-file@127.0.0.1\n")
    return tmp_path


def test_a_secret_may_be_a_file_and_a_variable_counts_before_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.read().database_url.get_secret_value() == "postgresql://weft:from-a-file@127.0.0.1"
    assert settings.read().data_keys["k1"].get_secret_value() == KEY
    monkeypatch.setenv("WEFT_DATABASE_URL", "postgresql://weft:from-a-variable@127.0.0.1")
    assert "from-a-variable" in settings.read().database_url.get_secret_value()


@pytest.mark.parametrize("text", ['{"k1": ["hunter2"]}', '{"k1": "hunter2'])
def test_what_is_wrong_in_a_file_is_said_without_it(folder: Path, text: str) -> None:
    (folder / "weft_data_keys").write_text(text)
    with pytest.raises(settings.SettingsError, match=r"(?i)data_keys") as refused:
        settings.read()
    assert "hunter2" not in str(refused.value)


def test_a_migration_needs_no_keys_and_no_certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "weft_data_keys").unlink()
    monkeypatch.delenv("WEFT_TLS")
    assert settings.read(migrates=True).data_keys == {}
    with pytest.raises(settings.SettingsError, match="WEFT_DATA_KEYS: field required"):
        settings.read()
    (folder / "weft_database_url").unlink()
    with pytest.raises(settings.SettingsError, match="WEFT_DATABASE_URL: field required"):
        settings.read(migrates=True)


def test_a_folder_of_secrets_that_is_not_there_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_SECRETS_FOLDER", str(folder / "weft_data_keys"))
    with pytest.raises(settings.SettingsError, match="WEFT_SECRETS_FOLDER: there is no folder"):
        settings.read()


def test_every_setting_has_a_meaning_and_secrets_are_marked() -> None:
    found = settings_reference.names()
    assert [name for name, field in found.items() if not field.description] == []
    secret = {name for name, field in found.items() if settings_reference.is_secret(field)}
    assert {"WEFT_DATA_KEYS", "WEFT_DATABASE_URL", "WEFT_STRIPE_KEY", "WEFT_OPERATOR_PASSWORD"} <= secret
    assert not secret & {"WEFT_LISTEN", "WEFT_TLS_KEY"}
