"""The messages that the wheel carries: of our contracts only what outside callers use, without our options.

A process that has two copies of an option's definition fails to import the second; partners may well have one of
`buf.validate`. So imports of options go, with internal RPCs and what only they use. Comments stay.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor

from codegen.python_client.model import services
from codegen.python_client.source import write
from contract import Contract

Kept = dict[str, Descriptor | EnumDescriptor]


def generate(contract: Contract, folder: Path) -> None:
    """Write `weft/**_pb2.py` and their types below `folder`."""
    descriptors = stripped(contract)
    ours = [file.name for file in descriptors.file if file.name.startswith("weft/")]
    with tempfile.TemporaryDirectory() as name:
        out, source = Path(name) / "out", Path(name) / "in.binpb"
        out.mkdir()
        source.write_bytes(descriptors.SerializeToString())
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={source}",
             f"--python_out={out}", f"--mypy_out={out}", *ours],
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            check=True,
            stderr=subprocess.DEVNULL,  # the types plugin names each file that it writes
        )  # fmt: skip
        files = {file.relative_to(out).as_posix(): file.read_text() for file in sorted(out.rglob("*.py*"))}
    write(folder, {**files, "weft/py.typed": ""})


def stripped(contract: Contract) -> descriptor_pb2.FileDescriptorSet:
    """Our files as outside callers need them, and the ones of Google's that they import."""
    rpcs = [rpc for service in services(contract, internal=False) for rpc in service.rpcs]
    kept: Kept = {}
    for rpc in rpcs:
        _keep(rpc.request, kept)
        _keep(rpc.reply, kept)
    methods = {rpc.method.full_name for rpc in rpcs}
    files: dict[str, FileDescriptor] = {kind.file.name: kind.file for kind in kept.values()}
    files |= {service.file.name: service.file for service in contract.services if _served(service.full_name, methods)}
    ours = {name: _strip(contract, file, kept, methods) for name, file in files.items() if name.startswith("weft/")}
    theirs: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for proto in ours.values():
        _with_imports(contract, [name for name in proto.dependency if name not in ours], theirs)
    return descriptor_pb2.FileDescriptorSet(file=[*theirs.values(), *(ours[name] for name in sorted(ours))])


def _served(service: str, methods: set[str]) -> bool:
    return any(method.rpartition(".")[0] == service for method in methods)


def _keep(kind: Descriptor | EnumDescriptor, kept: Kept) -> None:
    """A type, whatever it contains, and whatever contains it."""
    while kind.containing_type is not None:
        kind = kind.containing_type
    if kind.full_name in kept:
        return
    kept[kind.full_name] = kind
    if isinstance(kind, Descriptor):
        for used in _used(kind):
            _keep(used, kept)


def _used(message: Descriptor) -> Iterator[Descriptor | EnumDescriptor]:
    for field in message.fields:
        if (used := field.message_type or field.enum_type) is not None:
            yield used
    for nested in message.nested_types:
        yield from _used(nested)


def _strip(
    contract: Contract, file: FileDescriptor, kept: Kept, methods: set[str]
) -> descriptor_pb2.FileDescriptorProto:
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    package = proto.package
    _retain(proto.message_type, lambda message: f"{package}.{message.name}" in kept)
    _retain(proto.enum_type, lambda enum: f"{package}.{enum.name}" in kept)
    for service in proto.service:
        _retain(service.method, lambda method, name=service.name: f"{package}.{name}.{method.name}" in methods)
    _retain(proto.service, lambda service: bool(service.method))
    proto.ClearField("extension")
    _drop_options(proto)
    del proto.dependency[:]
    del proto.public_dependency[:]
    del proto.weak_dependency[:]
    proto.dependency.extend(sorted(_imports(contract, proto) - {file.name}))
    for path, name in _places(proto, package, ()):
        if comment := contract.comment(name):
            location = proto.source_code_info.location.add(path=path, span=(0, 0, 0))
            location.leading_comments = "\n".join(f" {line}" if line else "" for line in comment.splitlines()) + "\n"
    return proto


def _retain(items: Any, wanted: Any) -> None:
    """Keep of a repeated field what is wanted."""
    retained = [item for item in items if wanted(item)]
    del items[:]
    items.extend(retained)


def _drop_options(node: Any) -> None:
    """Leave only protobuf's own options, at any depth."""
    for field, value in node.ListFields():
        if field.name == "options":
            for option, _ in value.ListFields():
                if option.is_extension:
                    value.ClearExtension(option)
            value.DiscardUnknownFields()
            if not value.ListFields():
                node.ClearField("options")
        elif field.message_type is not None and field.is_repeated:
            for child in value:
                _drop_options(child)


def _imports(contract: Contract, proto: descriptor_pb2.FileDescriptorProto) -> set[str]:
    """The files of all types that a file speaks of."""
    names: set[str] = set()

    def visit(message: descriptor_pb2.DescriptorProto) -> None:
        names.update(field.type_name for field in message.field if field.type_name)
        for nested in message.nested_type:
            visit(nested)

    for message in proto.message_type:
        visit(message)
    for service in proto.service:
        for method in service.method:
            names |= {method.input_type, method.output_type}
    return {contract.pool.FindFileContainingSymbol(name.lstrip(".")).name for name in names}


def _with_imports(
    contract: Contract, names: Iterable[str], found: dict[str, descriptor_pb2.FileDescriptorProto]
) -> None:
    """Add files and what they import, imports first."""
    for name in names:
        if name not in found:
            proto = descriptor_pb2.FileDescriptorProto()
            contract.pool.FindFileByName(name).CopyToProto(proto)
            _with_imports(contract, proto.dependency, found)
            found[name] = proto


def _places(node: Any, prefix: str, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    """The path (descriptor.proto, SourceCodeInfo.Location.path) and full name of everything in a file."""
    for field, value in node.ListFields():
        if field.message_type is None or not field.is_repeated or "name" not in field.message_type.fields_by_name:
            continue
        for index, child in enumerate(value):
            here = (*path, field.number, index)
            yield here, f"{prefix}.{child.name}"
            yield from _places(child, f"{prefix}.{child.name}", here)
