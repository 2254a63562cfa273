"""One operation of the document for each routed RPC."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.openapi import errors, headers, standards
from codegen.openapi.examples import Samples
from codegen.openapi.schemas import WELL_KNOWN, Schemas
from contract import Caller, Contract, Key, Method, rules

Json = dict[str, Any]
_FILES: Json = {
    "application/x-ndjson": {"schema": {"type": "string", "description": "A resource as JSON in each line."}},
    "text/csv": {"schema": {"type": "string", "description": "With a header."}},
}
"""What an export is, in the format that its request names."""
_MEANINGS = {200: "Done.", 201: "Created.", 202: "Accepted; the work goes on.", 204: "Done; there is nothing to say."}


class Operations:
    """Writes operations, and the schemas that they need into `schemas`."""

    def __init__(self, read: Contract, schemas: Schemas, failures: errors.Responses, samples: Samples) -> None:
        self._contract = read
        self._failures = failures
        self._schemas = schemas
        self._samples = samples

    def operation(self, method: Method) -> Json:
        """The Operation Object of a routed method."""
        assert method.route is not None
        message = self._contract.pool.FindMessageTypeByName(method.input)
        said: Json = {
            "operationId": f"{method.service.rpartition('.')[2]}_{method.name}",
            "tags": [method.service.rpartition(".")[2]],
            "summary": method.comment.partition("\n")[0],
            "description": _description(method),
            "security": _security(method),
        }
        parameters = [*self._path(method, message), *self._query(method, message)]
        if method.key in (Key.REQUIRED, Key.ACCEPTED):
            parameters.append(headers.IDEMPOTENCY_KEY | {"required": method.key is Key.REQUIRED})
        if method.cookie and any(reason.name == "CROSS_SITE_REQUEST" for reason in method.errors):
            parameters.append(headers.CSRF)
        if parameters:
            said["parameters"] = parameters
        if method.route.body:
            said["requestBody"] = self._body(method, message)
        said["responses"] = {str(method.success): self._success(method), **self._errors(method)}
        said["x-weft"] = _card(method)
        return said

    def _path(self, method: Method, message: Descriptor) -> Iterator[Json]:
        assert method.route is not None
        for path in method.route.variables:
            field = _leaf(message, path)
            schema = self._schemas.field(field, request=True)
            schema.pop("readOnly", None)
            schema.setdefault("minLength", 1)
            yield {
                "name": field.name,
                "in": "path",
                "required": True,
                "description": schema.pop("description", ""),
                "schema": schema | _named_like(self._contract, field),
                "example": self._samples.field(field, request=True),
            }

    def _query(self, method: Method, message: Descriptor) -> Iterator[Json]:
        assert method.route is not None
        if method.route.body == "*":
            return
        bound = {*method.route.variables, method.route.body}
        for field in message.fields:
            if field.name in bound:
                continue
            for parameter in self._parameter(field, ""):
                if field.name == "update_mask" and method.route.body:
                    parameter["schema"] |= _mask(message.fields_by_name[method.route.body])
                yield parameter

    def _parameter(self, field: FieldDescriptor, prefix: str) -> Iterator[Json]:
        """A query parameter; a message is spread over one for each of its fields, named `message.field`."""
        name = prefix + field.json_name
        if field.message_type is not None and field.message_type.full_name not in WELL_KNOWN:
            if field.is_repeated:
                return  # google.api.http has no way to write a list of messages in a query
            for inner in field.message_type.fields:
                yield from self._parameter(inner, f"{name}.")
            return
        schema = self._schemas.field(field, request=True)
        said = {
            "name": name,
            "in": "query",
            "required": rules.required(field),
            "description": schema.pop("description", ""),
            "schema": schema,
        }
        # An opaque value has no example: whoever tries the page out with one is refused.
        opaque = field.type == FieldDescriptor.TYPE_STRING and not self._samples.has_sample(field)
        yield said if opaque else said | {"example": self._samples.field(field, request=True)}

    def _body(self, method: Method, message: Descriptor) -> Json:
        assert method.route is not None
        if method.route.body == "*":
            without = frozenset(method.route.variables)
            needed = any(rules.required(field) for field in message.fields if field.name not in without)
            return {
                "required": needed,
                "content": {
                    "application/json": {
                        "schema": self._schemas.request(message, without),
                        "example": self._samples.message(message, request=True, without=without),
                    }
                },
            }
        field = message.fields_by_name[method.route.body]
        assert field.message_type is not None
        if field.message_type.full_name == "google.api.HttpBody":
            content = standards.form(method) or {"*/*": {}}
            return {"required": True, "description": self._contract.comment(field.full_name), "content": content}
        schema = self._schemas.request(field.message_type)
        example = self._samples.message(field.message_type, request=True)
        return {
            "required": rules.required(field),
            "description": self._contract.comment(field.full_name),
            "content": {"application/json": {"schema": schema, "example": example}},
        }

    def _success(self, method: Method) -> Json:
        said: Json = {"description": _MEANINGS[method.success], "headers": headers.of_success(method)}
        message = self._contract.pool.FindMessageTypeByName(method.output)
        if method.success == 204:
            return said
        if message.full_name == "google.api.HttpBody":
            content = _FILES if method.server_streaming else standards.reply(method)
        elif method.server_streaming:
            content = {"text/event-stream": self._events(message)}
        else:
            example = self._samples.message(message, request=False)
            content = {"application/json": {"schema": self._schemas.reply(message), "example": example}}
        return said | ({"content": content} if content else {})

    def _events(self, message: Descriptor) -> Json:
        """OpenAPI 3.1 describes a stream as one text; what each event's `data` holds is in `contentSchema`."""
        return {
            "schema": {
                "type": "string",
                "description": "Server-Sent Events without names or ids. The `data` of each is one message as JSON.",
                "contentMediaType": "application/json",
                "contentSchema": self._schemas.reply(message),
            }
        }

    def _errors(self, method: Method) -> Json:
        found = self._failures.of(method)
        if not standards.speaks_oauth(method):
            return found
        own: Json = {}
        for status in sorted({*map(int, found), 401} - {404}):
            description, content = standards.error(status)
            own[str(status)] = {"description": description, "headers": headers.of_error(status), "content": content}
        return own


def _description(method: Method) -> str:
    parts = [method.comment]
    if method.key is Key.NONE:
        parts.append(f"Takes no idempotency key: {method.keyless_because}")
    if method.repeatable:
        parts.append("Safe to repeat.")
    if method.callers and not method.public:
        callers = ", ".join(sorted(caller.name.lower() for caller in method.callers))
        parts.append(f"Callers: {callers}." + (f" Scope: `{method.scope}`." if method.scope else ""))
    return "\n\n".join(parts)


def _card(method: Method) -> Json:
    """The rest of the method's policy, for tools."""
    return {
        "rpc": method.full_name,
        "callers": sorted(caller.name for caller in method.callers),
        "scope": method.scope,
        "rate": method.rate.name,
        "deadlineSeconds": method.deadline,
        "repeatable": method.repeatable,
        "idempotencyKey": method.key.name,
    }


def _security(method: Method) -> list[Json]:
    if method.public:
        return [{}, {"client": []}] if standards.speaks_oauth(method) else []
    scopes = [method.scope] if method.scope else []
    ways: list[Json] = [{"bearer": scopes}]
    if Caller.PARTNER in method.callers:
        ways.append({"oauth2": scopes})
    return ways


def _mask(resource: FieldDescriptor) -> Json:
    """What a mask may name: the fields of the resource that a caller sets, `etag` aside."""
    assert resource.message_type is not None
    named = rules.updatable(resource.message_type)
    names = "|".join(field.json_name for field in resource.message_type.fields if field.name in named)
    return {"pattern": rf"^(\*|({names})(,({names}))*)$"}


def _leaf(message: Descriptor, path: str) -> FieldDescriptor:
    *parents, last = path.split(".")
    for name in parents:
        inner = message.fields_by_name[name].message_type
        assert inner is not None
        message = inner
    return message.fields_by_name[last]


def _named_like(read: Contract, field: FieldDescriptor) -> Json:
    """A path variable within a resource has no rules of its own: those of a request's field of the same name hold."""
    if rules.keywords(rules.rules(field), field.enum_type):
        return {}
    for method in read.methods:
        other = read.pool.FindMessageTypeByName(method.input).fields_by_name.get(field.name)
        if other is not None and method.route and field.name in method.route.variables:
            return rules.keywords(rules.rules(other), other.enum_type)
    return {}
