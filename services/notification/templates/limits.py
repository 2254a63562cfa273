"""What rendering a message may cost: it holds up the process, so steps of loops and what filters read and write are counted.

The unit is a character that a filter reads or writes; a step of a loop costs one for each node of its body.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_RENDERED = 60_000
"""Characters of one part."""
MAX_WORK = 200_000
"""Of all parts of a message in one language: some 10 ms of a processor."""
STEPS = "_steps"
"""The filter that counts the steps of a loop: before them, and no author can name it."""
_CALL, _COMPARISON = 20, 20
_OBJECT = 4096
"""What a list or an object counts as, however much of it is read: the bytes of all data."""
_OF_LOOP = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem"}
)
_left: ContextVar[int | None] = ContextVar("template_work_left", default=None)


class TooMuch(TemplateRuntimeError):
    """A message asks for more than is given to one."""


@contextmanager
def bounded() -> Iterator[None]:
    """Render within `MAX_WORK`; a block within another one has what that has left."""
    if _left.get() is not None:
        yield
        return
    token = _left.set(MAX_WORK)
    try:
        yield
    finally:
        _left.reset(token)


def _spend(amount: int) -> None:
    left = (_left.get() or 0) - amount
    if left < 0:
        raise TooMuch("takes too long")
    _left.set(left)


def counted(run: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is paid for by what it reads and writes."""

    @wraps(run)  # with the mark of what Jinja passes to it
    def paid(*args: Any, **more: Any) -> Any:
        _spend(_CALL + sum(_size(each) for each in (*args, *more.values())))
        result = run(*args, **more)
        if isinstance(result, str):
            if len(result) > MAX_RENDERED:
                raise TooMuch(f"gives more than {MAX_RENDERED} characters")
            _spend(len(result))
        return result

    return paid


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return _OBJECT if isinstance(value, Mapping | list | tuple) else 0


def count_steps(tree: nodes.Template) -> nodes.Template:
    """The tree with its loops counted."""
    for loop in tree.find_all(nodes.For):
        weight = nodes.Const(sum(_weight(child) for child in loop.iter_child_nodes(exclude=("iter", "else_"))))
        loop.iter = nodes.Filter(loop.iter, STEPS, [weight], [], None, None)
    return tree


def _weight(node: nodes.Node) -> int:
    """Of one step; inner loops count their own."""
    own = _COMPARISON if isinstance(node, nodes.Compare) else 1
    return own if isinstance(node, nodes.For) else own + sum(map(_weight, node.iter_child_nodes()))


def steps(value: object, weight: int) -> object:
    """What a loop goes over: a list, or the names of an object."""
    if not isinstance(value, Mapping | list | tuple | Undefined):
        raise TooMuch("a loop goes over a list or an object")
    _spend(len(value) * weight)  # of what is undefined raises
    return value


class Environment(ImmutableSandboxedEnvironment):
    """Reads what the data has, and nothing of the objects of Python that hold it: `order.items` is an entry, not a method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As `getitem`."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An entry, or something undefined."""
        if isinstance(obj, Undefined):
            return super().getitem(obj, argument)  # raises, and says what is undefined
        if isinstance(obj, LoopContext):
            return getattr(obj, argument) if argument in _OF_LOOP else self.undefined(obj=obj, name=argument)
        try:
            return obj[argument] if isinstance(obj, Mapping | list | tuple | str) else self.undefined(obj, argument)
        except (LookupError, TypeError):
            return self.undefined(obj=obj, name=argument)
