"""The commands that keep contract and generated files honest, each in a copy of the tree."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codegen import breaking, check_gen

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as git would keep it."""
    target = tmp_path_factory.mktemp("checks") / "original"
    check_gen.copy(ROOT, target)
    return target


@pytest.fixture
def tree(original: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(original, tmp_path / "tree with a space")


def run(tree: Path, module: str) -> tuple[int, str]:
    """Exit code and output of a command of the tree's own."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=tree,
        env=check_gen.environment(tree),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) >= 1, old
    file.write_text(text.replace(old, new, 1))


def commit(tree: Path, *commands: str) -> None:
    """Make the tree a repository with one commit more."""
    name = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], [*name, "commit", "-q", "--no-gpg-sign", "-m", "A step"]):
        subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True)
    for command in commands:
        subprocess.run(["git", *name, *command.split()], cwd=tree, check=True, capture_output=True)


ORDERS = Path("protos/weft/order/v1/order_service.proto")


def test_the_contract_of_this_tree_makes_sense(original: Path) -> None:
    assert run(original, "codegen.check") == (0, "")


def test_an_rpc_without_a_policy_fails_with_its_name_and_the_remedy(tree: Path) -> None:
    nothing = "  rpc PraiseOrder(GetOrderRequest) returns (Order) {}\n\n  // Returns one order."
    edit(tree / ORDERS, "  // Returns one order.", f"  // Praises an order.\n{nothing}")
    assert run(tree, "codegen.check") == (
        1,
        "weft.order.v1.OrderService.PraiseOrder has no policy: add `option (weft.api.v1.method) = {...};` with its callers, "
        "scope, rate and errors (protos/weft/api/v1/policy.proto explains each).",
    )


def test_a_proto_that_does_not_compile_is_told_as_buf_says_it(tree: Path) -> None:
    edit(tree / ORDERS, "string order_id", "strin order_id")
    code, said = run(tree, "codegen.check")
    assert code == 1
    assert "strin" in said
    assert "Traceback" not in said


def test_a_scope_that_does_not_exist_is_refused_with_its_name(tree: Path) -> None:
    edit(tree / ORDERS, "scope: SCOPE_ORDERS_WRITE", "scope: SCOPE_ORDERS_WIRTE")
    code, said = run(tree, "codegen.check")
    assert code == 1
    assert "SCOPE_ORDERS_WIRTE" in said
    assert "Traceback" not in said


def test_a_rule_that_the_document_would_lose_is_refused(tree: Path) -> None:
    edit(tree / ORDERS, "string.max_len = 500", "string.max_bytes = 500")
    assert run(tree, "codegen.check") == (
        1,
        "The rule string.max_bytes has no JSON Schema yet: add it to contract/rules.py.",
    )


def test_what_is_generated_is_what_the_protos_say(original: Path) -> None:
    assert check_gen.differing(original) == []


def test_every_kind_of_stale_file_is_named(tree: Path) -> None:
    (tree / "gen" / "python" / "weft" / "order" / "v1" / "gone_pb2.py").write_text("")
    (tree / "gen" / "python" / "weft" / "order" / "v1" / "money_pb2.pyi").unlink()
    edit(tree / "gen" / "openapi" / "openapi.json", '"3.1.0"', '"3.0.0"')
    folder = "gen/python/weft/order/v1"
    assert check_gen.differing(tree) == ["gen/openapi/openapi.json", f"{folder}/gone_pb2.py", f"{folder}/money_pb2.pyi"]


def test_a_change_of_a_proto_shows_everywhere_before_it_is_generated(tree: Path) -> None:
    edit(tree / ORDERS, "scope: SCOPE_ORDERS_WRITE", "scope: SCOPE_USERS_WRITE")
    assert {"gen/descriptors.binpb", "gen/openapi/openapi.json"} <= set(check_gen.differing(tree))


def test_a_single_commit_has_nothing_to_break(tree: Path) -> None:
    commit(tree)
    code, said = run(tree, "codegen.breaking")
    assert (code, said.partition(":")[0]) == (0, "breaking")


def test_a_break_with_the_commit_before_is_told(tree: Path) -> None:
    commit(tree)
    edit(tree / ORDERS, "string note = 5", "string remark = 5")
    commit(tree)
    code, said = run(tree, "codegen.breaking")
    assert code == 1
    assert 'Field "5"' in said
    assert '"remark"' in said


def test_an_addition_breaks_nothing(tree: Path) -> None:
    commit(tree)
    addition = "string note = 5 [(buf.validate.field).string.max_len = 500];\n  // More.\n  string more = 400"
    edit(tree / ORDERS, "string note = 5 [(buf.validate.field).string.max_len = 500]", addition)
    commit(tree)
    assert run(tree, "codegen.breaking") == (0, "")


def test_the_last_release_counts_rather_than_the_commit_before(tree: Path) -> None:
    commit(tree, "tag v1.0.0")
    edit(tree / ORDERS, "string note = 5", "string remark = 5")
    commit(tree)
    (tree / "another").touch()
    commit(tree)
    assert run(tree, "codegen.breaking")[0] == 1


def test_before_the_first_release_the_baseline_counts(tree: Path) -> None:
    commit(tree)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True, check=True)
    (tree / "codegen" / "breaking_baseline.txt").write_text(f"{done.stdout.strip()}\nFor the test.\n")
    edit(tree / ORDERS, "string note = 5", "string remark = 5")
    commit(tree)
    (tree / "another").touch()
    commit(tree)
    assert run(tree, "codegen.breaking")[0] == 1


def test_a_shallow_clone_has_nothing_to_compare_with(tree: Path, tmp_path: Path) -> None:
    commit(tree)
    (tree / "another").touch()
    commit(tree)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", tree.as_uri(), str(shallow)], check=True, capture_output=True)
    assert breaking.before(shallow) == ""
