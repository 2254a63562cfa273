"""The two modes whose data never meet, as they stand in tokens and rows: the names of `weft.api.v1.Mode` without their prefix."""

from weft.api.v1 import mode_pb2

LIVE, TEST = "LIVE", "TEST"
ALL = (LIVE, TEST)


def to_message(mode: str) -> "mode_pb2.Mode.ValueType":
    """The value of the contract."""
    return mode_pb2.Mode.Value(f"MODE_{mode}")


def of_message(value: "mode_pb2.Mode.ValueType", default: str = LIVE) -> str:
    """The name of a value of the contract; `default` where it is unspecified."""
    return mode_pb2.Mode.Name(value).removeprefix("MODE_") if value else default
