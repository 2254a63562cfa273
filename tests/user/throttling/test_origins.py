"""What counts as one caller."""

import pytest

from services.user.throttling.origins import neighbourhood, network


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_a_network_is_one_ipv4_address_or_one_ipv6_network(address: str, counted: str) -> None:
    assert network(address) == counted


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:7:1::1", "2001:db8:7::/48"),
        ("unknown", ""),
    ],
)
def test_a_neighbourhood_is_a_block_that_one_attacker_easily_controls(address: str, counted: str) -> None:
    assert neighbourhood(address) == counted
