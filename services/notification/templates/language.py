"""What the templates of partners may say: a part of Jinja2 in which nothing takes long, and no value leaves its place.

No calls, assignments, macros, imports and arithmetic; loops over what the data holds, and few of them; nothing that is nested
deeply, which would take long to compile. What it costs to render is counted (`limits.py`). In HTML a value stands in text or in a
quoted attribute, and at the beginning of an address only through `url`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from jinja2 import (
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    filters,
    nodes,
    pass_context,
    pass_eval_context,
)
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context

from services.notification.templates import limits, money, places
from services.notification.templates.limits import MAX_RENDERED

MAX_LOOPS = 5
MAX_LOOP_DEPTH = 2
MAX_DEPTH = 30
"""Of expressions and blocks within one another."""
MAX_PLACES = 6
"""Of a rounded number."""
MAX_ENTRIES = 200
"""Of all lists and objects of the data together."""
_FILTERS = ("upper", "lower", "title", "default", "d", "length", "first", "last", "escape", "e")
"""Jinja's own. Others of its names are ours, as Jinja's take arguments with which they never end, or fill the memory."""
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.If,
    nodes.CondExpr, nodes.For, nodes.Filter, nodes.Keyword, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Test,
)  # fmt: skip
_TESTS = frozenset({"defined", "undefined", "none", "true", "false", "even", "odd"})
_RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs"})
"""What Jinja itself gives these names is not data."""


_TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"


class TemplateWrong(Exception):
    """What is wrong with a template, as a phrase for its author."""


class Source(NamedTuple):
    """One part of a message."""

    text: str
    is_html: bool = False


def _environment(autoescape: bool) -> limits.Environment:
    # Constants are not computed when it is compiled: nobody would count that.
    environment = limits.Environment(
        autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, optimized=False
    )
    known = {name: filters.FILTERS[name] for name in _FILTERS}
    known |= {"money": _money, "url": _url, "join": _join, "round": _round, "trim": _trim}
    environment.filters = {name: limits.counted(known[name]) for name in known} | {limits.STEPS: limits.steps}
    environment.tests = {name: test for name, test in environment.tests.items() if name in {*_TESTS, "eq", "ne"}}
    environment.globals = {}
    return environment


@pass_context
def _money(context: Context, value: Mapping[str, Any]) -> str:
    return money.format_amount(int(value["amount_minor"]), str(value["currency"]), str(context["locale"]))


def _url(value: object) -> str:
    """An address of the web or of mail; `#` for any other."""
    text = str(value)
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        scheme = ""
    return text if scheme in ("http", "https", "mailto") and not re.search(r"[\s\"'<>]", text) else "#"


@pass_eval_context
def _join(context: EvalContext, value: Any, between: Any = "", attribute: str | None = None) -> str:
    if len(value) * len(str(between)) > MAX_RENDERED:
        raise limits.TooMuch(f"gives more than {MAX_RENDERED} characters")
    joined: str = filters.do_join(context, value, between, attribute)
    return joined


def _round(value: float, places: int = 0, method: Literal["common", "ceil", "floor"] = "common") -> float:
    if places not in range(MAX_PLACES + 1):
        raise limits.TooMuch(f"a number is rounded to at most {MAX_PLACES} places")
    return filters.do_round(value, int(places), method)


def _trim(value: str, *more: object) -> str:
    if more:
        raise limits.TooMuch("trim takes nothing")
    return filters.do_trim(value)


_PLAIN, _HTML = _environment(autoescape=False), _environment(autoescape=True)


def check(source: Source) -> None:
    """Raises `TemplateWrong` for what is not in the language."""
    try:
        tree = (_HTML if source.is_html else _PLAIN).parse(source.text)
        _check_nodes(tree)
    except TemplateSyntaxError as error:
        raise TemplateWrong(f"line {error.lineno}: {error.message}"[:200]) from None
    except RecursionError:
        raise TemplateWrong(_TOO_DEEP) from None
    if sum(1 for _ in tree.find_all(nodes.For)) > MAX_LOOPS:
        raise TemplateWrong(f"has more than {MAX_LOOPS} loops")
    if source.is_html:
        try:
            places.check(tree)
        except places.Misplaced as error:
            raise TemplateWrong(str(error)) from None


def _check_nodes(node: nodes.Node, depth: int = 0, loops: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise TemplateWrong(f"line {node.lineno}: {_TOO_DEEP}")
    for child in node.iter_child_nodes():
        if not isinstance(child, _NODES):
            raise TemplateWrong(f"line {child.lineno}: {type(child).__name__.lower()} is not available here")
        if isinstance(child, nodes.Filter) and child.name not in _PLAIN.filters.keys() - {limits.STEPS}:
            raise TemplateWrong(f"line {child.lineno}: there is no filter {child.name[:40]}")
        # Of `loop` there is what it knows, such as `loop.index`; itself it is no value.
        has = isinstance(node, nodes.Getattr | nodes.Getitem) and node.node is child
        if isinstance(child, nodes.Name) and (
            child.name in _RESERVED or (child.name == "loop" and not (loops and has))
        ):
            raise TemplateWrong(f"line {child.lineno}: there is no variable {child.name}")
        if isinstance(child, nodes.Test) and child.name not in _TESTS:
            raise TemplateWrong(f"line {child.lineno}: there is no test {child.name[:40]}")
        if isinstance(child, nodes.For):
            if loops >= MAX_LOOP_DEPTH or child.recursive:
                raise TemplateWrong(f"line {child.lineno}: loops are at most {MAX_LOOP_DEPTH} deep")
            if not isinstance(child.iter, nodes.Name | nodes.Getattr | nodes.Getitem):
                raise TemplateWrong(f"line {child.lineno}: a loop goes over a variable")
        _check_nodes(child, depth + 1, loops + isinstance(child, nodes.For))


def entries(data: object) -> int:
    """The entries of all lists and objects of the data together."""
    if isinstance(data, Mapping):
        return len(data) + sum(entries(value) for value in data.values())
    if isinstance(data, list | tuple):
        return len(data) + sum(entries(value) for value in data)
    return 0


@lru_cache(maxsize=500)
def _compiled(source: Source) -> Template:
    environment = _HTML if source.is_html else _PLAIN
    return environment.from_string(limits.count_steps(environment.parse(source.text)))


def render(source: Source, values: Mapping[str, Any]) -> str:
    """Render a part that `check` has passed. Raises `TemplateWrong`."""
    if not source.text:
        return ""
    rendered, length = [], 0
    try:
        with limits.bounded():
            for piece in _compiled(source).generate(dict(values)):
                rendered.append(piece)
                length += len(piece)
                if length > MAX_RENDERED:
                    raise TemplateWrong(f"gives more than {MAX_RENDERED} characters")
        "".join(rendered).encode()  # a lone surrogate is no text
    except (TemplateError, SecurityError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise TemplateWrong(str(error)[:200] or type(error).__name__) from None
    return "".join(rendered).strip()
