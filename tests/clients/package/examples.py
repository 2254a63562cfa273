"""The examples of docs/clients.md, and one program of all of them for type checkers."""

import re
import textwrap
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "clients.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def program(examples: list[str]) -> str:
    """Each example in a function of its own, after what the page says that the later ones use."""
    (prelude,) = [number for number, example in enumerate(examples) if example.startswith("weft = ")]
    imports = sorted({line for example in examples for line in example.splitlines() if line.startswith(_IMPORT)})
    parts = []
    for number, example in enumerate(examples):
        code = "\n".join(line for line in example.splitlines() if not line.startswith(_IMPORT))
        before = examples[prelude] if number > prelude else ""
        parts.append(f"async def example_{number}() -> None:\n{textwrap.indent(before + code, '    ')}\n")
    return "\n\n".join(["\n".join(imports), *parts])


_IMPORT = ("import ", "from ")
