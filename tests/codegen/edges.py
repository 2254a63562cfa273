"""The configuration of a sample edge, and parts of it."""

import dataclasses
from typing import Any

import contract as contracts
from codegen import envoy
from codegen.envoy.bootstrap import sample
from codegen.envoy.typed import Json
from contract import Contract

CONTRACT = contracts.load()


def built(contract: Contract = CONTRACT, **changes: Any) -> Json:
    """The bootstrap of the sample deployment."""
    return envoy.build(contract, dataclasses.replace(sample(contract), **changes))


def manager(config: Json, name: str = "http") -> Json:
    """The HTTP connection manager of a listener."""
    listener = next(one for one in config["static_resources"]["listeners"] if one["name"] == name)
    found: Json = listener["filter_chains"][0]["filters"][-1]["typed_config"]
    return found
