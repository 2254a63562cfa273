"""Error classes and what is raised are held against the contract, by syntax alone."""

from pathlib import Path

import pytest

import contract
from codegen import error_classes

CONTRACT = contract.load()
HEAD = "from chassis.errors import FailedPrecondition, NotFound, EtagMismatch\n"
DECLARED = 'class OutOfStock(FailedPrecondition):\n    """Only {available} left of {product_id}."""\n'


def said(folder: Path, text: str) -> list[str]:
    """What the check says of a module of the order service."""
    (folder / "chassis").mkdir()
    file = folder / "services" / "order" / "domain.py"
    file.parent.mkdir(parents=True)
    file.write_text(HEAD + text)
    return list(error_classes.faults(CONTRACT, folder))


def test_a_class_that_agrees_with_its_reason_passes(tmp_path: Path) -> None:
    raised = "raise OutOfStock(product_id='a', available='1')\nraise EtagMismatch(etag='x', retry_after=None)\n"
    assert said(tmp_path, DECLARED + raised) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            DECLARED.replace("{available}", "{remaining}"),
            "2: OUT_OF_STOCK of weft.order.v1 has no metadata key 'remaining': add it to the `metadata` of its option, or drop "
            "it here.",
        ),
        (
            DECLARED + "raise OutOfStock(shelf='3')\n",
            "4: OUT_OF_STOCK of weft.order.v1 has no metadata key 'shelf': add it to the `metadata` of its option, or drop it "
            "here.",
        ),
        (
            "raise errors.EtagMismatch(version='3')\n",
            "2: ETAG_MISMATCH of weft.api.v1 has no metadata key 'version': add it to the `metadata` of its option, or drop it "
            "here.",
        ),
        (
            DECLARED.replace("FailedPrecondition", "NotFound"),
            "2: OutOfStock is a NotFound, and the contract gives OUT_OF_STOCK the code FAILED_PRECONDITION.",
        ),
        (
            "class SoldOut(FailedPrecondition): ...\n",
            "2: SoldOut is SOLD_OUT of weft.order.v1, which its ErrorReason does not have: add it there, or rename the class.",
        ),
    ],
)
def test_what_the_contract_does_not_declare_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    assert said(tmp_path, text) == [f"services/order/domain.py:{sentence}"]
