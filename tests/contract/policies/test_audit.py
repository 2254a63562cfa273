"""A package with an audit trail has no mutation that is silent without a reason."""

import pytest

import contract as contracts
from contract.checks import audit
from tests.contract.compiled import contract

_POLICY = (
    "callers: [CALLER_USER] scope: SCOPE_ORDERS_WRITE rate: RATE_CLASS_WRITE deadline: {seconds: 5} "
    'key: IDEMPOTENCY_KEY_NONE keyless_because: "It only counts."'
)


def service(first: str, second: str) -> str:
    """Two mutations with these words in their policies."""
    return (
        "service LabService {"
        + "".join(
            f"""
          rpc {name}(TryRequest) returns (TryResponse) {{
            option (google.api.http) = {{post: "/v1/tries:{name.lower()}" body: "*"}};
            option (weft.api.v1.method) = {{{_POLICY} {words}}};
          }}"""
            for name, words in (("Mix", first), ("Stir", second))
        )
        + "} message TryRequest {} message TryResponse {}"
    )


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        ('audit: ["drink.stirred"]', ""),
        ('unaudited_because: "Stirring is a look."', ""),
        ("", "Stir is a mutation that is not audited"),
        ('audit: ["Stirred"]', "Stir audits 'Stirred'"),
        ('audit: ["drink.stirred"] unaudited_because: "So."', "Stir is audited and says why it is not"),
        ('unaudited_because: "so"', "Stir says 'so'"),
    ],
)
def test_a_mutation_is_audited_or_says_why_not(second: str, sentence: str) -> None:
    found = [
        fault.removeprefix("weft.lab.v1.LabService.")
        for fault in audit.faults(contract(service('audit: ["drink.mixed"]', second)))
    ]
    assert len(found) == bool(sentence)
    assert "".join(found).startswith(sentence)
    assert list(audit.faults(contract(service("", "")))) == []


def test_the_user_service_has_an_audit_trail() -> None:
    audited = {method.package for method in contracts.load().methods if method.audit}
    assert "weft.user.v1" in audited
