"""What the templates of partners may say: a part of Jinja2 in which nothing takes long, and no value leaves its place.

No calls, assignments, macros, imports and arithmetic; loops over what the data holds, and few of them. In HTML a value stands in
text or in a quoted attribute, and at the beginning of an address only through `url`.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.notification.templates import money

MAX_LOOPS = 5
MAX_LOOP_DEPTH = 2
MAX_RENDERED = 60_000
"""Characters of one part."""
MAX_ENTRIES = 200
"""Of all lists and objects of the data together."""
_FILTERS = (
    "upper",
    "lower",
    "title",
    "trim",
    "default",
    "d",
    "length",
    "join",
    "first",
    "last",
    "round",
    "escape",
    "e",
)
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.If,
    nodes.CondExpr, nodes.For, nodes.Filter, nodes.Keyword, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Test,
)  # fmt: skip
_TESTS = frozenset({"defined", "undefined", "none", "true", "false", "even", "odd"})
_ADDRESSES = frozenset({"href", "src", "action", "formaction", "background", "cite", "poster", "xlink:href"})
_IN_ATTRIBUTE = re.compile(r"""([a-zA-Z:-]+)\s*=\s*(?:"([^"]*)|'([^']*))$""")
_RAW = re.compile(r"<(script|style)\b(?:(?!</\1)[\s\S])*$", re.IGNORECASE)


class TemplateWrong(Exception):
    """What is wrong with a template, as a phrase for its author."""


class Source(NamedTuple):
    """One part of a message."""

    text: str
    is_html: bool = False


def _environment(autoescape: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True)
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    environment.filters |= {"money": _money, "url": _url}
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


_PLAIN, _HTML = _environment(autoescape=False), _environment(autoescape=True)


def check(source: Source) -> None:
    """Raises `TemplateWrong` for what is not in the language."""
    try:
        tree = (_HTML if source.is_html else _PLAIN).parse(source.text)
    except TemplateSyntaxError as error:
        raise TemplateWrong(f"line {error.lineno}: {error.message}"[:200]) from None
    _check_nodes(tree, 0)
    if sum(1 for _ in tree.find_all(nodes.For)) > MAX_LOOPS:
        raise TemplateWrong(f"has more than {MAX_LOOPS} loops")
    if source.is_html:
        _check_places(tree)


def _check_nodes(node: nodes.Node, depth: int) -> None:
    for child in node.iter_child_nodes():
        if not isinstance(child, _NODES):
            raise TemplateWrong(f"line {child.lineno}: {type(child).__name__.lower()} is not available here")
        if isinstance(child, nodes.Filter) and child.name not in {*_FILTERS, "money", "url"}:
            raise TemplateWrong(f"line {child.lineno}: there is no filter {child.name[:40]}")
        if isinstance(child, nodes.Test) and child.name not in _TESTS:
            raise TemplateWrong(f"line {child.lineno}: there is no test {child.name[:40]}")
        if isinstance(child, nodes.For):
            if depth >= MAX_LOOP_DEPTH or child.recursive:
                raise TemplateWrong(f"line {child.lineno}: loops are at most {MAX_LOOP_DEPTH} deep")
            if not isinstance(child.iter, nodes.Name | nodes.Getattr | nodes.Getitem):
                raise TemplateWrong(f"line {child.lineno}: a loop goes over a variable")
        _check_nodes(child, depth + isinstance(child, nodes.For))


def _check_places(tree: nodes.Template) -> None:
    """Where in the HTML values stand. What comes before is taken in the order in which it is written."""
    before = ""
    for node in _outputs(tree):
        if isinstance(node, nodes.TemplateData):
            before += node.data
            continue
        place = f"line {node.lineno}: a value"
        if _RAW.search(before):
            raise TemplateWrong(f"{place} cannot stand in a script or a style")
        if before.rfind("<") > before.rfind(">"):
            found = _IN_ATTRIBUTE.search(before)
            if found is None:
                raise TemplateWrong(f"{place} in a tag stands in a quoted attribute")
            name, begun = found[1].lower(), found[2] or found[3] or ""
            if name.startswith("on") or name in ("style", "srcset", "srcdoc"):
                raise TemplateWrong(f"{place} cannot stand in the attribute {name}")
            if name in _ADDRESSES and not begun.strip() and not _is_url(node):
                raise TemplateWrong(f"{place} at the beginning of {name} needs the filter url")
        before += "x"


def _outputs(node: nodes.Node) -> Iterator[nodes.Node]:
    if isinstance(node, nodes.Output):
        yield from node.nodes
        return
    for child in node.iter_child_nodes():
        yield from _outputs(child)


def _is_url(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Filter) and node.name == "url"


def entries(data: object) -> int:
    """The entries of all lists and objects of the data together."""
    if isinstance(data, Mapping):
        return len(data) + sum(entries(value) for value in data.values())
    if isinstance(data, list | tuple):
        return len(data) + sum(entries(value) for value in data)
    return 0


@lru_cache(maxsize=1000)
def _compiled(source: Source) -> Template:
    return (_HTML if source.is_html else _PLAIN).from_string(source.text)


def render(source: Source, values: Mapping[str, Any]) -> str:
    """Render a part that `check` has passed. Raises `TemplateWrong`."""
    if not source.text:
        return ""
    rendered, length = [], 0
    try:
        for piece in _compiled(source).generate(dict(values)):
            rendered.append(piece)
            length += len(piece)
            if length > MAX_RENDERED:
                raise TemplateWrong(f"gives more than {MAX_RENDERED} characters")
    except (TemplateError, SecurityError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise TemplateWrong(str(error)[:200] or type(error).__name__) from None
    return "".join(rendered).strip()
