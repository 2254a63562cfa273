"""Failure switches: which names are taken where, that a file turns them on and off, and that what they promise exists."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis import settings
from chassis.faults import catalogue, switches
from codegen.observability import FOLDER, panels
from deploy.local.options import ROOT
from tests.servers import wait_until

PRODUCTION = {
    "WEFT_ENVIRONMENT": "production",
    "WEFT_ISSUER": "https://weft.test",
    "WEFT_DATABASE_URL": "postgresql://weft@127.0.0.1",
    "WEFT_DATA_KEYS": json.dumps({"k1": "A" * 43 + "="}),
    "WEFT_TLS_CERT": "/a",
    "WEFT_TLS_KEY": "/b",
    "WEFT_TLS_CA": "/c",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("WEFT_RECORD_REASONS", raising=False)  # which the tests' own run has

    def use(**more: str) -> settings.Settings:
        for name, value in {**PRODUCTION, **more}.items():
            monkeypatch.setenv(name, value)
        return settings.read()

    return use


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"WEFT_FAULTS": '["slow-databse"]'}, "there is no failure switch 'slow-databse'; use books-differ, "),
        ({"WEFT_FAULTS_ALLOWED": '["frozen"]'}, "there is no failure switch 'frozen'"),  # of the mesh, not of a process
        ({"WEFT_FAULTS": '["slow-database"]'}, "a failure switch is on that is not in WEFT_FAULTS_ALLOWED"),
        (
            {"WEFT_FAULTS": '["slow-database"]', "WEFT_FAULTS_ALLOWED": '["no-cache"]'},
            "a failure switch is on that is not in WEFT_FAULTS_ALLOWED",
        ),
        ({"WEFT_FAULTS_FILE": "/somewhere"}, "and WEFT_FAULTS_ALLOWED names none"),
    ],
)
def test_production_starts_with_no_switch_that_it_does_not_name(
    environment: Any, more: dict[str, str], sentence: str
) -> None:
    with pytest.raises(settings.SettingsError, match=sentence.replace("[", r"\[")):
        environment(**more)


def test_production_may_name_one(environment: Any) -> None:
    assert environment(WEFT_FAULTS='["no-cache"]', WEFT_FAULTS_ALLOWED='["no-cache"]').faults == ["no-cache"]
    assert environment(WEFT_FAULTS="[]").faults == []


def test_a_file_turns_switches_on_and_off_but_no_unknown_and_no_forbidden_one(tmp_path: Path) -> None:
    file = tmp_path / "order"
    end = switches.follow(["jobs-die"], file, ["no-cache"])
    try:
        assert switches.on(catalogue.JOBS_DIE)
        file.write_text("no-cache\nhangs\nnonsense\n")
        wait_until(lambda: switches.on(catalogue.NO_CACHE), "a switch of the file")
        assert not switches.on(catalogue.HANGS) and not switches.on("nonsense")
        file.unlink()
        wait_until(lambda: not switches.on(catalogue.NO_CACHE), "the switch to be off")
        assert switches.on(catalogue.JOBS_DIE)
    finally:
        end()
    assert not switches.on(catalogue.JOBS_DIE)


def test_every_switch_names_what_exists_and_has_a_point() -> None:
    rules = yaml.safe_load((ROOT / FOLDER / "rules.yaml").read_text())["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule}
    titles = {one.name: {panel.title for panel in one.panels} for one in panels.dashboards()}
    source = "".join(
        path.read_text()
        for folder in ("chassis", "services", "deploy/local")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "catalogue.py"
    )
    constants = {value: name for name, value in vars(catalogue).items() if isinstance(value, str) and name.isupper()}
    for fault in catalogue.FAULTS.values():
        assert fault.alerts and set(fault.alerts) <= alerts, fault.name
        named = fault.shows.replace(" of `outbox`", "").partition(";")[0]
        assert set(named.split(", ")) <= titles[fault.dashboard], fault.name
        assert f"catalogue.{constants[fault.name]}" in source, fault.name
    assert len(catalogue.FAULTS) > 12
