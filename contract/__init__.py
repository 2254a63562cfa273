"""What an RPC is: the only reader of the contract's options and bounds. It imports generated code only.

    reader   descriptors → `Contract`: every method, reason, scope and plan, with a sentence for each invalid policy
    method   the frozen values: `Method`, `Caller`, `Key`, `RateClass`; `routes`, `reasons` and `scopes` have their own
    rules    the bounds and behaviours of fields, for documents and checks
    sizes    the largest body of each RPC, added up from the bounds
    checks   what every contract keeps to; `make lint` prints each fault with what to write

docs/contract.md describes the options and what is derived from them.
"""

from contract.method import Caller, ContractError, Key, Method, RateClass
from contract.reader import DESCRIPTORS, SERVED, Contract, load, sensitivity
from contract.reasons import Reason
from contract.routes import Route
from contract.scopes import Scope

__all__ = [
    "DESCRIPTORS",
    "SERVED",
    "Caller",
    "Contract",
    "ContractError",
    "Key",
    "Method",
    "RateClass",
    "Reason",
    "Route",
    "Scope",
    "load",
    "sensitivity",
]
