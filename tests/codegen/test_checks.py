"""The commands that keep contract and generated files honest, each in a copy of what it reads."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen import breaking, check_gen
from codegen.lint import check
from codegen.lint import protos as style

ROOT = Path(__file__).resolve().parents[2]
ORDERS = Path("protos/weft/order/v1/order_service.proto")
GENERATED = "gen/python/weft/order/v1"


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    """A copy of the contract to spoil, and of nothing else."""
    tree = tmp_path / "tree with a space"
    shutil.copytree(ROOT / "protos", tree / "protos")
    shutil.copy(ROOT / "buf.yaml", tree)
    (tree / "third_party").symlink_to(ROOT / "third_party")
    (tree / "codegen").mkdir()
    shutil.copy(ROOT / breaking.BASELINE, tree / breaking.BASELINE)
    return tree


def edit(file: Path, old: str, new: str) -> int:
    """Replace a text, once, and return the line in which the new one begins."""
    text = file.read_text()
    assert text.count(old) >= 1, old
    file.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_an_rpc_without_a_policy_fails_with_its_name_and_the_remedy(protos: Path) -> None:
    nothing = "  rpc PraiseOrder(GetOrderRequest) returns (Order) {}\n\n  // Returns one order."
    line = edit(protos / ORDERS, "  // Returns one order.", f"  // Praises an order.\n{nothing}")
    assert check.of_contract(protos, {}, {}) == [
        f"{ORDERS}:{line + 1}: weft.order.v1.OrderService.PraiseOrder has no policy: add `option (weft.api.v1.method) = {{...}};` "
        "with its callers, scope, rate and errors (protos/weft/api/v1/policy.proto explains each)."
    ]


def test_what_does_not_compile_is_told_as_buf_says_it(protos: Path) -> None:
    line = edit(protos / ORDERS, "string order_id", "strin order_id")
    edit(protos / ORDERS, "scope: SCOPE_ORDERS_WRITE", "scope: SCOPE_ORDERS_WIRTE")
    *found, last = check.of_contract(protos, {}, {})
    assert any(sentence.startswith(f"{ORDERS}:{line}:") and "`strin`" in sentence for sentence in found)
    assert last == "The protos do not compile, so the rest of the contract was not checked."


def test_misspelt_values_are_told_with_those_that_are_like_them_and_beside_all_other_faults(protos: Path) -> None:
    first = edit(protos / ORDERS, "scope: SCOPE_ORDERS_WRITE", "scope: SCOPE_ORDERS_WIRTE")
    edit(protos / ORDERS.with_name("product_service.proto"), "rate: RATE_CLASS_", "rate: RATE_KLASS_")
    edit(protos / ORDERS, "// Returns one order.", "// Returns one order")
    edit(protos / ORDERS, "string order_id", "string orderId")
    found = check.of_contract(protos, {}, {})
    (scope,) = (sentence for sentence in found if "SCOPE_ORDERS_WIRTE" in sentence)
    place, _, said = scope.partition(": ")
    assert place.startswith(f"{ORDERS}:") and abs(int(place.rpartition(":")[2]) - first) < 12  # that of the option
    assert said == (
        "SCOPE_ORDERS_WIRTE is not declared: write SCOPE_ORDERS_WRITE, or add SCOPE_ORDERS_WIRTE to protos/weft/api/v1/scope.proto."
    )
    assert any("RATE_KLASS_" in sentence and "write RATE_CLASS_" in sentence for sentence in found)
    assert any("OrderService.GetOrder" in sentence and "whole sentences" in sentence for sentence in found)
    assert [line for line in style.faults(protos) if "orderId" in line and "lower_snake_case" in line]


def test_a_rule_that_the_document_would_lose_is_refused_beside_other_faults(protos: Path) -> None:
    text = "string note = 5 [(buf.validate.field).string.max_"
    line = edit(protos / ORDERS, f"{text}len = 500", f"{text}bytes = 500")
    edit(protos / ORDERS.with_name("product_service.proto"), "// Returns one product.", "// Returns one product")
    found = check.of_contract(protos, {}, {})
    assert found[0].startswith(f"{ORDERS}:{line}: weft.order.v1.")
    assert found[0].endswith(".note: The rule string.max_bytes has no JSON Schema yet: add it to contract/rules.py.")
    assert (
        found[-1]
        .partition(": ")[2]
        .startswith("weft.order.v1.ProductService.GetProduct has no comment of whole sentences")
    )


def test_every_kind_of_difference_is_named_and_there_is_no_other(tmp_path: Path) -> None:
    """So what is generated is what the protos say, but for what was spoiled here."""
    tree = tmp_path / "tree with a space"
    check_gen.copy(ROOT, tree)
    (tree / GENERATED / "gone_pb2.py").write_text("")
    (tree / GENERATED / "money_pb2.pyi").unlink()
    (tree / "docs/settings.md").write_text("old")
    edit(tree / ORDERS, "scope: SCOPE_ORDERS_WRITE", "scope: SCOPE_USERS_WRITE")
    assert check_gen.differing(tree) == [
        "docs/settings.md",
        "gen/contract.binpb",
        "gen/descriptors.binpb",
        "gen/openapi/openapi.json",
        f"{GENERATED}/gone_pb2.py",
        f"{GENERATED}/money_pb2.pyi",
        f"{GENERATED}/order_service_pb2.py",
    ]


@pytest.fixture
def commit(protos: Path) -> Callable[..., str]:
    """`commit(*commands)` commits the contract as it is and returns the id of the commit."""

    def git(*arguments: str) -> str:
        name = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        done = subprocess.run(["git", *name, *arguments], cwd=protos, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def made(*commands: str) -> str:
        git("add", "protos", "buf.yaml", "codegen")
        git("commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", "A step")
        for command in commands:
            git(*command.split())
        return git("rev-parse", "HEAD")

    git("init", "-q")
    return made


def test_a_single_commit_has_nothing_to_break(protos: Path, commit: Callable[..., str]) -> None:
    commit()
    assert breaking.before(protos) == ""


def test_a_break_with_the_commit_before_is_told_and_an_addition_is_none(
    protos: Path, commit: Callable[..., str]
) -> None:
    first = commit()
    addition = "string note = 5 [(buf.validate.field).string.max_len = 500];\n  // More.\n  string more = 400"
    edit(protos / ORDERS, "string note = 5 [(buf.validate.field).string.max_len = 500]", addition)
    commit()
    assert breaking.before(protos) == first
    assert breaking.breaks(protos, first) == ""
    edit(protos / ORDERS, "string note = 5", "string remark = 5")
    said = breaking.breaks(protos, first)
    assert 'Field "5"' in said and '"remark"' in said


def test_the_last_release_counts_rather_than_the_commit_before(protos: Path, commit: Callable[..., str]) -> None:
    released = commit("tag v1.0.0")
    commit()
    commit()
    assert breaking.before(protos) == released


def test_before_the_first_release_the_baseline_counts(protos: Path, commit: Callable[..., str]) -> None:
    first = commit()
    (protos / breaking.BASELINE).write_text(f"{first}\nFor the test.\n")
    commit()
    commit()
    assert breaking.before(protos) == first


def test_a_shallow_clone_has_nothing_to_compare_with(protos: Path, commit: Callable[..., str], tmp_path: Path) -> None:
    commit()
    commit()
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", protos.as_uri(), str(shallow)], check=True, capture_output=True)
    assert breaking.before(shallow) == ""
