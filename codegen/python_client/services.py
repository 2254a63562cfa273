"""A class for each service: methods with typed arguments, documented from the protos."""

import textwrap
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.python_client import errors, types
from codegen.python_client.model import Rpc, Service, services
from codegen.python_client.source import argument, docstring
from codegen.python_client.source import module as module_text
from contract import Contract


def modules(contract: Contract, *, internal: bool) -> dict[str, str]:
    """Modules by the package's short name."""
    grouped: dict[str, list[Service]] = {}
    for service in services(contract, internal=internal):
        grouped.setdefault(service.package, []).append(service)
    return {package: _module(contract, package, found, internal) for package, found in grouped.items()}


def outside(contract: Contract) -> set[str]:
    """Full names of the services that have a public class."""
    return {service.descriptor.full_name for service in services(contract, internal=False)}


def _module(contract: Contract, package: str, found: list[Service], internal: bool) -> str:
    imports = {
        *types.STANDARD,
        "from __future__ import annotations",
        "from weft_client.calls import arguments",
        "from weft_client.aio import parts",
        "from weft_client.generated import types",
        "from weft_internal import methods" if internal else "from weft_client.generated import methods",
    }
    blocks = []
    for service in found:
        extends = internal and service.descriptor.full_name in outside(contract)
        if extends:
            imports.add(f"from weft_client.generated.aio.{package} import Async{service.stem}")
        for rpc in service.rpcs:
            imports |= {types.import_of(rpc.request.file), types.import_of(rpc.reply.file)}
            for field in (*rpc.request.fields, *([rpc.items] if rpc.items else [])):
                imports |= {types.import_of(kind.file) for kind in (field.message_type, field.enum_type) if kind}
        blocks.append("\n".join(_class(contract, service, internal, extends)))
    return module_text(f"The calls of the {package} service{', internal ones' if internal else ''}.", imports, blocks)


def _class(contract: Contract, service: Service, internal: bool, extends: bool) -> Iterator[str]:
    name = f"{'Internal' if internal else 'Async'}{service.stem}"
    yield f"class {name}(Async{service.stem}):" if extends else f"class {name}:"
    yield docstring(service.comment, 4)
    yield "\n    def __init__(self, connection: parts.AsyncConnection, auth: parts.AsyncAuth | None) -> None:"
    if extends:
        yield "        super().__init__(connection, auth)"
    for rpc in service.rpcs:
        yield f"        self._{rpc.name} = {_binding(rpc)}"
    for rpc in service.rpcs:
        yield from _method(contract, rpc, types.names(contract, "types."))


def _binding(rpc: Rpc) -> str:
    kind = "parts.AsyncStreaming" if rpc.method.server_streaming else "parts.AsyncUnary"
    return f"{kind}(connection, methods.{rpc.constant}, auth)"


def _method(contract: Contract, rpc: Rpc, names: types.Names) -> Iterator[str]:
    reply = "None" if rpc.empty else types.alias(rpc.reply)
    plain = not rpc.method.server_streaming and rpc.items is None
    if rpc.method.server_streaming:
        reply = f"parts.AsyncStream[{types.alias(rpc.reply)}]"
    elif rpc.items is not None:
        item = types.alias(rpc.items.message_type) if rpc.items.message_type else "str"
        reply = f"parts.AsyncPages[{item}, {types.alias(rpc.reply)}]"
    yield f"\n    {'async def' if plain else 'def'} {rpc.name}("
    yield "        self,"
    yield "        *,"
    fields = sorted(rpc.request.fields, key=lambda field: not types.required(field))
    for field in fields:
        kind = types.of_field(field, names)
        yield (
            f"        {argument(field.name)}: {kind},"
            if types.required(field)
            else (f"        {argument(field.name)}: {kind} | None = None,")
        )
    yield "        timeout: float | None = None,"
    if rpc.keyed:
        yield "        idempotency_key: str | None = None,"
    yield f"    ) -> {reply}:"
    yield docstring(_documentation(contract, rpc, fields), 8)
    yield f"        request = {types.alias(rpc.request)}("
    yield from (f"            {_passed(field)}," for field in rpc.request.fields)
    yield "        )"
    call = f"self._{rpc.name}(request, timeout{', idempotency_key' if rpc.keyed else ''})"
    if rpc.method.server_streaming:
        yield f"        return {call}"
    elif rpc.items is not None:
        yield f"        return parts.AsyncPages(self._{rpc.name}, request, {rpc.items.name!r}, timeout)"
    else:
        yield f"        {'' if rpc.empty else 'return '}await {call}"


def _passed(field: FieldDescriptor) -> str:
    """One argument of the request's constructor."""
    value = argument(field.name)
    if field.name != value:
        return f"**{{{field.name!r}: {_converted(field, value)}}}"
    return f"{field.name}={_converted(field, value)}"


def _converted(field: FieldDescriptor, value: str) -> str:
    several = "s" if field.is_repeated else ""
    if field.enum_type is not None:
        return f"arguments.enum{several}({field.enum_type.values[0].name.removesuffix('UNSPECIFIED')!r}, {value})"
    message = field.message_type
    if message is None:
        return value if types.required(field) else f"arguments.plain({value})"
    if message.full_name == "google.protobuf.FieldMask":
        return f"arguments.mask({value})"
    if types.is_map(field) or not types.dictable(message) or not _needs_care(message, set()):
        return f"arguments.plain({value})"
    return f"arguments.message{several}({types.alias(message)}.DESCRIPTOR, {value})"


def _needs_care(message: Descriptor, seen: set[str]) -> bool:
    """Whether a dict for it may hold short enum names or masks somewhere below."""
    if message.full_name in seen:
        return False
    seen.add(message.full_name)
    return any(
        field.enum_type is not None
        or (
            field.message_type is not None
            and (field.message_type.full_name == "google.protobuf.FieldMask" or _needs_care(field.message_type, seen))
        )
        for field in message.fields
    )


def _documentation(contract: Contract, rpc: Rpc, fields: list[FieldDescriptor]) -> str:
    parts = [rpc.method.comment]
    own = [
        f"    {argument(field.name)}: {' '.join(contract.comment(f'{rpc.request.full_name}.{field.name}').split())}"
        for field in fields
    ]
    own.append(f"    timeout: Seconds that the whole call may take; {rpc.method.deadline:g} where absent.")
    if rpc.keyed:
        own.append("    idempotency_key: Names the call, so that it happens once; made by the client where absent.")
    parts.append("Args:\n" + "\n".join(own))
    if rpc.method.errors:
        raised = [
            f"    {errors.class_name(reason)}: {' '.join(reason.description.split())}" for reason in rpc.method.errors
        ]
        parts.append("Raises:\n" + "\n".join(raised))
    return "\n\n".join(textwrap.dedent(part) for part in parts if part)
