"""Where in the HTML of a template its values stand, as browsers read it: in text, in a tag, in a quoted attribute, in a script.

A tag or an attribute that begins in a branch of an `if`, or in a loop, ends there: so a place is the same whichever branches are taken.
"""

import re
from collections.abc import Sequence
from copy import copy

from jinja2 import nodes

_NAME = re.compile(r"([a-zA-Z][a-zA-Z0-9:_-]{0,40})\s*=\s*$")
_HAS_SCHEME = re.compile(r"[:/?#]")
"""In the beginning of an address: what follows is no part of its scheme any more."""
_ADDRESSES = frozenset({"href", "src", "action", "formaction", "background", "cite", "poster", "xlink:href"})
_RAW = ("script", "style")
_CODE = frozenset({"style", "srcset", "srcdoc"})


class Misplaced(Exception):
    """A value stands where it could do harm; the message is a phrase that follows `line 7: `."""

    def __init__(self, line: int, phrase: str) -> None:
        super().__init__(f"line {line}: {phrase}")


class _Reader:
    """What has been read: `_tag` from the `<` of an open tag on, `_quote` of an open attribute, its name, and its beginning."""

    def __init__(self) -> None:
        self._tag = self._quote = self._name = self._begun = self._raw = ""

    @property
    def kind(self) -> tuple[object, ...]:
        """The same in places where the same may stand."""
        return bool(self._tag), self._quote, self._name, self._raw

    def read(self, text: str) -> None:
        """HTML of the author."""
        for character in text:
            self._step(character)

    def _step(self, character: str) -> None:
        if self._quote:
            if character == self._quote:
                self._quote = self._name = self._begun = ""
            self._begun += character if self._quote else ""
            return
        self._tag += character if self._tag or character == "<" else ""
        if len(self._tag) == 2 and not re.match(r"[a-zA-Z/!?]", character):  # `<` was text
            self._tag = "<" if character == "<" else ""
        if self._raw:
            if not f"</{self._raw}".startswith(self._tag.lower()[: len(self._raw) + 2]):
                self._tag = "<" if character == "<" else ""
            if self._tag.lower().startswith(f"</{self._raw}"):
                self._raw = ""
        elif self._tag and character in "\"'" and (found := _NAME.search(self._tag[-80:-1])):
            self._quote, self._name = character, found[1].lower()
        if self._tag and character == ">" and not self._raw:
            self._raw = next((raw for raw in _RAW if re.match(rf"<{raw}\b", self._tag, re.IGNORECASE)), "")
            self._tag = ""

    def value(self, node: nodes.Node) -> None:
        """A value of the data. Raises `Misplaced`."""
        if self._raw:
            raise Misplaced(node.lineno, "a value cannot stand in a script or a style")
        if self._tag and not self._quote:
            raise Misplaced(node.lineno, "a value in a tag stands in a quoted attribute")
        if self._name.startswith("on") or self._name in _CODE:
            raise Misplaced(node.lineno, f"a value cannot stand in the attribute {self._name}")
        is_url = isinstance(node, nodes.Filter) and node.name == "url"
        if self._name in _ADDRESSES and not (is_url or _HAS_SCHEME.search(self._begun)):
            raise Misplaced(node.lineno, f"a value at the beginning of {self._name} needs the filter url")
        self._begun += ":" if is_url else "x" if self._quote else ""


def check(tree: nodes.Template) -> None:
    """Raises `Misplaced`."""
    _walk(tree.body, _Reader())


def _walk(body: Sequence[nodes.Node], reader: _Reader) -> None:
    for node in body:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                reader.read(part.data) if isinstance(part, nodes.TemplateData) else reader.value(part)
        elif isinstance(node, nodes.If):
            _branches(node, [node.body, *(each.body for each in node.elif_), node.else_], reader)
        elif isinstance(node, nodes.For):
            _branches(node, [node.body, node.else_], reader)


def _branches(node: nodes.Node, bodies: Sequence[Sequence[nodes.Node]], before: _Reader) -> None:
    for body in bodies:
        reader = copy(before)
        _walk(body, reader)
        if reader.kind != before.kind:
            raise Misplaced(node.lineno, "a tag or an attribute ends in the branch in which it begins")
