"""A service is migrated again when its code, the chassis or the contract has changed since."""

import pytest

from deploy.local.state import credentials, preparation
from deploy.local.state.preparation import Preparation


@pytest.mark.parametrize("changed", ["services/order/x.py", "chassis/x.py", "contract/x.py", "gen/contract.binpb"])
def test_a_service_is_due_once_its_sources_have_changed(tmp_path, monkeypatch, changed):
    monkeypatch.setattr(preparation, "ROOT", tmp_path)
    secrets = credentials.load(tmp_path / "secrets.json", ("order",))
    for name in (changed, "services/user/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    record = Preparation(tmp_path / "prepared.json", secrets)
    assert record.is_due("order")
    record.record("order")

    (tmp_path / "services" / "user" / "x.py").write_text("new")
    assert not Preparation(tmp_path / "prepared.json", secrets).is_due("order")
    (tmp_path / changed).write_text("new")
    assert Preparation(tmp_path / "prepared.json", secrets).is_due("order")
