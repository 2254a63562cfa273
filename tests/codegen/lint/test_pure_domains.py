"""A domain asks neither a clock nor a file, or lint says where it does."""

from collections.abc import Callable

import pytest

from codegen.lint import pure_domains


@pytest.mark.parametrize("name", ["order/domain.py", "order/items/price_domain.py", "order/domain/price.py"])
@pytest.mark.parametrize(
    ("text", "used", "instead"),
    [
        ("import time\nx = time.time()\n", "time.time", "the time"),
        ("from time import monotonic as m\nx = m()\n", "m", "the time"),
        ("from datetime import datetime\nx = datetime.now(UTC)\n", "datetime.now", "the time"),
        ("import datetime as d\nx = field(default_factory=d.date.today)\n", "d.date.today", "the time"),
        ("\nx = open('prices')\n", "open", "what it reads"),
    ],
)
def test_a_clock_or_a_file_in_a_domain_is_refused(
    modules: Callable, name: str, text: str, used: str, instead: str
) -> None:
    assert list(pure_domains.faults(modules({name: text}).values())) == [
        f"services/{name}:2: uses {used}, but the domain does no I/O: take {instead} as an argument."
    ]


def test_what_else_has_these_names_passes(modules: Callable) -> None:
    text = "import datetime\ndef open(): ...\ndef f(time): return open(), time.time, datetime.datetime(2020, 1, 1)\n"
    read = modules({"order/domain.py": text, "order/worker.py": "import time\nx = time.time()\n"})
    assert list(pure_domains.faults(read.values())) == []
