"""The clients themselves: `AsyncWeft` for users, `InternalWeft` for services."""

from codegen.python_client.model import services
from codegen.python_client.source import module as module_text
from contract import Contract


def public(contract: Contract) -> str:
    """`AsyncWeft`: everything behind one address."""
    found = services(contract, internal=False)
    imports = {
        "from weft_client.aio.client import AsyncEdgeClient",
        *(f"from weft_client.generated.aio.{s.package} import Async{s.stem}" for s in found),
    }
    lines = [
        "class AsyncWeft(AsyncEdgeClient):",
        '    """All of Weft behind the address of its edge. Use it as a context manager, or `close` it."""',
        "",
        "    def _bind(self) -> None:",
        *(f"        self.{s.attribute} = Async{s.stem}(self._connection, self._auth)" for s in found),
    ]
    return module_text("The client.", imports, ["\n".join(lines)])


def internal(contract: Contract) -> str:
    """`InternalWeft`: each service at its own addresses, internal calls included."""
    attributes: dict[str, tuple[str, str, str]] = {}
    imports = {
        "from collections.abc import Mapping",
        "from collections.abc import Sequence",
        "from weft_client.aio.client import AsyncMeshClient",
        "from weft_client.calls.retries import DEFAULT",
        "from weft_client.calls.retries import Retries",
        "from weft_client.tls import MutualTls",
    }
    for service in services(contract, internal=False):
        attributes[service.attribute] = (
            f"weft_client.generated.aio.{service.package}",
            f"Async{service.stem}",
            service.package,
        )
    for service in services(contract, internal=True):
        attributes[service.attribute] = (f"weft_internal.{service.package}", f"Internal{service.stem}", service.package)
    imports |= {f"from {place} import {name}" for place, name, _ in attributes.values()}
    lines = [
        "class InternalWeft(AsyncMeshClient):",
        '    """Every service at its own addresses, for other services: with internal calls, over mutual TLS."""',
        "",
        "    def __init__(",
        "        self,",
        "        peers: Mapping[str, Sequence[str]],",
        "        tls: MutualTls | None = None,",
        "        retries: Retries = DEFAULT,",
        "    ) -> None:",
        '        """`peers`: `host:port` of each replica, by service. Without `tls` in plain text. Opens nothing yet."""',
        "        super().__init__(peers, tls, retries)",
        *(
            f"        self.{attribute} = {name}(self._peer({package!r}), None)"
            for attribute, (_, name, package) in sorted(attributes.items())
        ),
    ]
    return module_text("The client that services call one another with.", imports, ["\n".join(lines)])
