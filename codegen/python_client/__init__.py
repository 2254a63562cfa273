"""The Python clients, from the contract: what partners install, and the internal part that the services add to it.

| written | by |
|---|---|
| `weft_client/generated/errors.py` | `errors` |
| `weft_client/generated/types.py` | `types` |
| `weft_client/generated/methods.py`, `weft_internal/methods.py` | `methods` |
| `weft_client/generated/aio/`, `weft_internal/` | `services`, `clients` |
| `weft_client/generated/runtime/`, `…/blocking/` | `blocking`, from the asyncio flavour |
| `clients/python/stubs/` | `stubs` |
"""

from pathlib import Path

from codegen.python_client import blocking, clients, errors, methods, services, stubs, types
from codegen.python_client.source import HEADER, write
from contract import Contract

PACKAGE = f'"""{HEADER}"""\n'


def generate(contract: Contract, root: Path) -> None:
    """Write all files; those of RPCs that are no longer in the contract are removed."""
    client = root / "clients" / "python"
    generated = client / "src" / "weft_client" / "generated"
    internal = root / "gen" / "python" / "weft_internal"
    public = {
        "__init__.py": PACKAGE,
        "errors.py": errors.module(contract),
        "types.py": types.module(contract),
        "methods.py": methods.module(contract, internal=False),
        "aio/__init__.py": PACKAGE,
        "aio/weft.py": clients.public(contract),
        **{f"aio/{name}.py": text for name, text in services.modules(contract, internal=False).items()},
    }
    runtime = {file.name: file.read_text() for file in sorted((client / "src" / "weft_client" / "aio").glob("*.py"))}
    write(generated, public | blocking.modules(runtime, public))
    write(
        internal,
        {
            "__init__.py": clients.internal(contract),
            "methods.py": methods.module(contract, internal=True),
            **{f"{name}.py": text for name, text in services.modules(contract, internal=True).items()},
        },
    )
    stubs.generate(contract, client / "stubs")
