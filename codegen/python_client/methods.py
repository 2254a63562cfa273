"""The `Method` constants that calls are made from."""

from codegen.python_client.model import Rpc, services
from codegen.python_client.source import module as module_text
from codegen.python_client.types import alias, import_of
from contract import Contract, RateClass


def module(contract: Contract, *, internal: bool) -> str:
    """One constant for each RPC."""
    found = services(contract, internal=internal)
    rpcs = [rpc for service in found for rpc in service.rpcs]
    imports = {"from typing import Any", "from weft_client.calls.method import Method"}
    for rpc in rpcs:
        imports |= {import_of(rpc.request.file), import_of(rpc.reply.file)}
    names = "".join(f"    '{s.attribute}.{rpc.name}': {rpc.constant},\n" for s in found for rpc in s.rpcs)
    blocks = ["\n".join(_constant(rpc) for rpc in rpcs), f"BY_NAME: dict[str, Method[Any, Any]] = {{\n{names}}}"]
    return module_text("The RPCs, as the runtime calls them and as fakes serve them.", imports, blocks)


def _constant(rpc: Rpc) -> str:
    method = rpc.method
    flags = {
        "repeatable": method.repeatable,
        "keyed": rpc.keyed,
        "open": method.rate in (RateClass.SIGN_IN, RateClass.SIGN_UP),
        "streaming": method.server_streaming,
    }
    parts = [
        repr(method.path),
        repr(method.package.split(".")[1]),
        alias(rpc.request),
        alias(rpc.reply),
        repr(method.deadline),
        *(f"{name}=True" for name, value in flags.items() if value),
        *([f"errors={tuple(f'{r.domain}/{r.name}' for r in method.errors)!r}"] if method.errors else []),
    ]
    return f"{rpc.constant} = Method({', '.join(parts)})"
