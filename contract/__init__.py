"""What an RPC is: the only reader of the contract's options and bounds.

`reader` turns descriptors into the frozen values of `method`; `rules` reads the bounds of fields.
"""

from contract.method import Caller, ContractError, Key, Method, RateClass, Reason, Route
from contract.reader import DESCRIPTORS, Contract, load, sensitivity

__all__ = [
    "DESCRIPTORS",
    "Caller",
    "Contract",
    "ContractError",
    "Key",
    "Method",
    "RateClass",
    "Reason",
    "Route",
    "load",
    "sensitivity",
]
