"""Error classes and what is raised are held against the contract, by syntax alone."""

from collections.abc import Callable

import pytest

import contract
from codegen.lint import error_classes

CONTRACT = contract.load()
HEAD = "from chassis.errors import FailedPrecondition, NotFound, EtagMismatch, NotFound as Missing\nfrom chassis import errors\n"
DECLARED = 'class OutOfStock(FailedPrecondition):\n    """Only {available} left of {product_id}."""\n'


def said(modules: Callable, text: str, **others: str) -> list[str]:
    """What the check says of modules of the order service."""
    files = {f"order/{name}.py": other for name, other in others.items()}
    return list(error_classes.faults(CONTRACT, modules({"order/domain.py": HEAD + text, **files}), {}))


@pytest.mark.parametrize(
    "raised",
    [
        "raise OutOfStock(product_id='a', available='1')",
        "raise EtagMismatch(etag='x', retry_after=None)",
        "raise OutOfStock(**{'product_id': 'a', 'available': '1'})",
        "d = {'product_id': 'a', 'available': '1'}\nraise OutOfStock(**d)",
        "d = dict(product_id='a') if d else {}\nd['available'] = '1'\nraise OutOfStock(**d)",
    ],
)
def test_what_agrees_with_its_reason_passes(modules: Callable, raised: str) -> None:
    assert said(modules, DECLARED + raised) == []


@pytest.mark.parametrize(
    "raised",
    [
        "raise OutOfStock(shelf='3')",
        "raise OutOfStock(**{'shelf': '3'})",
        "raise OutOfStock(**dict(shelf='3'))",
        "raise OutOfStock(**({'shelf': '3'} if x else {}))",
        "raise (OutOfStock if x else NotFound)(shelf='3')",
        "def f(): raise OutOfStock(**d)\nd = {}\nd['shelf'] = '3'",
        "def f(): return partial(OutOfStock, shelf='3')",
        "_REFUSED = OutOfStock\nraise _REFUSED(shelf='3')",
    ],
)
def test_an_undeclared_key_is_refused_however_it_is_passed(modules: Callable, raised: str) -> None:
    (sentence,) = said(modules, DECLARED + raised)
    assert sentence.startswith("services/order/domain.py:")
    assert sentence.endswith(
        ": OUT_OF_STOCK of weft.order.v1 has no metadata key 'shelf': add it to the `metadata` of its option, or drop it here."
    )


@pytest.mark.parametrize(
    "raised",
    [
        "from services.order.domain import OutOfStock as Sold\nraise Sold(shelf='3')",
        "from services.order import domain\nraise domain.OutOfStock(shelf='3')",
        "from services.order import domain\nraise getattr(domain, 'OutOfStock')(shelf='3')",
        "def f():\n    from services.order.domain import OutOfStock as Sold; raise Sold(shelf='3')",
        "from .domain import OutOfStock\nraise OutOfStock(shelf='3')",
    ],
)
def test_an_undeclared_key_is_refused_in_another_module(modules: Callable, raised: str) -> None:
    (sentence,) = said(modules, DECLARED, handlers=raised)
    assert sentence.startswith(
        "services/order/handlers.py:2: OUT_OF_STOCK of weft.order.v1 has no metadata key 'shelf'"
    )


@pytest.mark.parametrize("passed", ["details", "self.details", "details()", "{**details}"])
def test_metadata_that_cannot_be_read_is_refused(modules: Callable, passed: str) -> None:
    (sentence,) = said(modules, DECLARED + f"def f(self, details): raise OutOfStock(**{passed})")
    assert sentence == (
        f"services/order/domain.py:5: OutOfStock takes metadata from `**{passed}`, whose keys nobody can check: write them as "
        "keyword arguments."
    )


@pytest.mark.parametrize("passed", ["", "product_id='a'", "**{'product_id': 'a'}"])
def test_a_key_that_the_message_names_is_not_left_out(modules: Callable, passed: str) -> None:
    (sentence,) = said(modules, DECLARED + f"raise OutOfStock({passed})")
    missing = "available" if passed else "available, product_id"
    assert sentence == (
        f"services/order/domain.py:5: OutOfStock needs {missing}, which its message names: write `available=…`."
    )


UNKNOWN = "SOLD_OUT of weft.order.v1, which its ErrorReason does not have: add it there, or rename the class."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            DECLARED.replace("{available}", "{remaining}"),
            "3: OUT_OF_STOCK of weft.order.v1 has no metadata key 'remaining': add it to the `metadata` of its option, or drop "
            "it here.",
        ),
        (
            "raise errors.EtagMismatch(version='3')\n",
            "3: ETAG_MISMATCH of weft.api.v1 has no metadata key 'version': add it to the `metadata` of its option, or drop it "
            "here.",
        ),
        *(
            (
                DECLARED.replace("FailedPrecondition", base),
                "3: OutOfStock is a NotFound, and the contract gives OUT_OF_STOCK the code FAILED_PRECONDITION: derive it from the "
                "class of that code, or change the code in the option.",
            )
            for base in ("NotFound", "Missing", "errors.NotFound", 'getattr(errors, "NotFound")')
        ),
        ("class SoldOut(FailedPrecondition): ...\n", f"3: SoldOut is {UNKNOWN}"),
        ("def f():\n    class SoldOut(errors.FailedPrecondition): ...\n", f"4: SoldOut is {UNKNOWN}"),
        ("class Gone(Missing):\n    reason = 'SOLD_OUT'\n", f"3: Gone is {UNKNOWN}"),
        (DECLARED + "class SoldOut(OutOfStock): ...\n", f"5: SoldOut is {UNKNOWN}"),
    ],
)
def test_what_the_contract_does_not_declare_is_refused(modules: Callable, text: str, sentence: str) -> None:
    assert said(modules, text) == [f"services/order/domain.py:{sentence}"]
