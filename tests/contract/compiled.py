"""Small contracts for tests: the text of a proto in, its descriptor set out."""

import tempfile
from importlib import resources
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from contract import Contract

ROOT = Path(__file__).resolve().parents[2]
_HEAD = """
syntax = "proto3";
package weft.lab.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "weft/api/v1/policy.proto";
import "weft/api/v1/reason.proto";
"""


def descriptors(text: str) -> descriptor_pb2.FileDescriptorSet:
    """Compile `text`, which follows a head with package `weft.lab.v1` and the usual imports, with comments kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weft" / "lab" / "v1" / "lab_service.proto"
        file.parent.mkdir(parents=True)
        file.write_text(_HEAD + text)
        built = Path(folder) / "built.binpb"
        google = resources.files("grpc_tools") / "_proto"
        roots = (folder, ROOT / "protos", ROOT / "third_party" / "protos", google)
        options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={built}"]
        assert (
            protoc.main(
                [
                    "protoc",
                    "--experimental_allow_proto3_optional",
                    *(f"-I{root}" for root in roots),
                    *options,
                    str(file),
                ]
            )
            == 0
        )
        return descriptor_pb2.FileDescriptorSet.FromString(built.read_bytes())


def contract(text: str) -> Contract:
    """The contract that `text` makes. Raises `ContractError`."""
    return Contract(descriptors(text))
