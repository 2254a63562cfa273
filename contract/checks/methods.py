"""Names, verbs, routes, pages and etags of methods (AIP-131 to 136, 158)."""

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract import Contract, Method, Route, rules

_VERBS = {"Get": "GET", "List": "GET", "Watch": "GET", "Create": "POST", "Update": "PATCH", "Delete": "DELETE"}
_PATH = re.compile(
    r"/(?:v1(?:/(?:[a-z][A-Za-z]*|{[a-z_.]+}))+(?::[a-z][A-Za-z]*)?|oauth2/[a-z]+|\.well-known/[a-z.-]+)"
)


def faults(read: Contract) -> Iterator[str]:
    """A sentence for each fault, with what to write."""
    for method in read.methods:
        request, reply = (read.pool.FindMessageTypeByName(name) for name in (method.input, method.output))
        checks = [
            _name(method),
            _pages(method, request, reply),
            _update(method, request, reply),
            _creation(method, read),
        ]
        if method.route is not None:
            checks += [_route(method, method.route), _variables(method.route, request)]
        for check in checks:
            yield from check


def _name(method: Method) -> Iterator[str]:
    if method.input.rpartition(".")[2] != f"{method.name}Request":
        yield f"{method.full_name} takes {method.input}: call its request {method.name}Request."
    verb = re.match(r"[A-Z][a-z]+", method.name)
    http = _VERBS.get(verb[0]) if verb and verb[0] != method.name else None
    if http is None or verb is None or method.route is None:
        return
    if method.route.verb != http:
        yield f"{method.full_name} is a {method.route.verb}: a method called {verb[0]}… is a {http}."
    if method.server_streaming != (verb[0] == "Watch"):
        yield f"{method.full_name} has the wrong name or reply: methods called Watch… return a stream, and no others do."


_ALSO_IN_PAGES = ("Export", "GetUsage")
"""The usual names of what comes in pages and is no list of resources."""


def _pages(method: Method, request: Descriptor, reply: Descriptor) -> Iterator[str]:
    asked, answered = request.fields_by_name, reply.fields_by_name
    if not method.name.startswith("List"):
        if "page_token" in asked and not method.name.startswith(_ALSO_IN_PAGES):
            yield f"{method.full_name} takes a page_token: call it List…, or drop the field."
        return
    size, token = asked.get("page_size"), asked.get("page_token")
    if size is None or size.type != FieldDescriptor.TYPE_INT32 or not _says(size, {"minimum": 0}):
        yield f"{method.full_name} has no page size: write `int32 page_size = 1 [(buf.validate.field).int32.gte = 0];`."
    if token is None or not _says(token, {"maxLength": 1000}):
        yield (
            f"{method.full_name} has no page token: write `string page_token = 2 [(buf.validate.field).string.max_len = 1000];`."
        )
    if "next_page_token" not in answered or answered["next_page_token"].type != FieldDescriptor.TYPE_STRING:
        yield f"{method.full_name} returns no next page: write `string next_page_token = 2;` in {reply.name}."
    if sum(field.is_repeated for field in reply.fields) != 1:
        yield f"{method.full_name} returns {reply.name} with more or fewer than one list: write one repeated field."
    if not method.repeatable:
        yield f"{method.full_name} is a list with side effects: write `option idempotency_level = NO_SIDE_EFFECTS;`."


def _says(field: FieldDescriptor, bounds: dict[str, object]) -> bool:
    """Whether the rules of a field are these; True where one is not known, which is told of its own."""
    return bool(rules.untranslated(field)) or rules.keywords(rules.rules(field)) == bounds


def _update(method: Method, request: Descriptor, reply: Descriptor) -> Iterator[str]:
    if not method.name.startswith("Update"):
        return
    resource = method.route.body if method.route else ""
    if resource not in request.fields_by_name or "update_mask" not in request.fields_by_name:
        yield (
            f"{method.full_name} takes no resource with a mask: write the resource as a field, name it in the route's `body`, "
            "and add `google.protobuf.FieldMask update_mask = 2;`."
        )
    if not method.repeatable:
        yield f"{method.full_name} is an update that cannot be repeated: write `option idempotency_level = IDEMPOTENT;`."
    if "etag" not in reply.fields_by_name:
        yield f"{method.full_name} returns {reply.name}, which has no etag: add `string etag` to it."


def _creation(method: Method, read: Contract) -> Iterator[str]:
    """Without a GET of the resource there is no location, and so no 201."""
    kin = [other for other in read.methods if other.package == method.package and other.output == method.output]
    shown = any(re.match(r"Get[A-Z]", other.name) for other in kin)
    if re.match(r"Create[A-Z]", method.name) and shown and method.success != 201:
        yield f"{method.full_name} creates a resource and succeeds with {method.success}: write `success: 201`."


def _route(method: Method, route: Route) -> Iterator[str]:
    if not _PATH.fullmatch(route.path):
        yield f"{method.full_name} has the path {route.path}: write it as `/v1/things/{{thing_id}}:verb`."
    custom = re.search(r":([a-z]+)[A-Za-z]*$", route.path)
    # A list of a part of a collection has the part's name instead: `/v1/payments:discrepancies`.
    if custom and not method.name.lower().startswith((custom[1], f"list{custom[1]}")):
        yield f"{method.full_name} has the custom verb `:{custom[1]}`: begin the method's name with it."


def _variables(route: Route, request: Descriptor) -> Iterator[str]:
    for name in route.variables:
        field = request.fields_by_name.get(name)
        if field is None:  # part of a resource, or refused with the policy
            continue
        if not rules.required(field):
            yield f"{field.full_name} is part of a route and not REQUIRED: write `(google.api.field_behavior) = REQUIRED`."
        if not rules.untranslated(field) and "pattern" not in rules.keywords(rules.rules(field)):
            pattern = "^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$"
            yield f'{field.full_name} is part of a route and has no pattern: write `(buf.validate.field).string.pattern = "{pattern}"`.'
