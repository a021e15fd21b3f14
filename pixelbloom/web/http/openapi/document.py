"""The OpenAPI 3.1 document, generated from the routes and their models."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pixelbloom.agents import registry
from pixelbloom.web.http.openapi import invocations, responses
from pixelbloom.web.http.openapi.parameters import EXTENSION
from pixelbloom.web.http.openapi.responses import SCHEMA
from pixelbloom.web.http.schemas import InvokeRequest

_CONVERTER = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
_METHODS = ("get", "post", "put", "patch", "delete")


def documented_path(rule: str) -> str:
    """Return the path of a Flask rule in the document: `/leads/<uuid:id>` becomes `/leads/{id}`."""
    return _CONVERTER.sub(r"{\1}", rule)


@dataclass(frozen=True)
class Operation:
    """A path and method, with the view function."""

    path: str
    method: str
    view: Any

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def model(self, part: str) -> type[BaseModel] | None:
        """Return the model of its `path`, `query` or `body`, if it has one."""
        return get_type_hints(self.view).get(part)


def operations(app: Flask) -> Iterator[Operation]:
    """Yield all operations of all routes, including undocumented ones."""
    for rule in app.url_map.iter_rules():
        for method in _METHODS:
            if method.upper() in (rule.methods or ()):
                view = inspect.unwrap(app.view_functions[rule.endpoint])
                yield Operation(documented_path(rule.rule), method, view)


def complete(document: dict[str, Any], app: Flask) -> None:
    """Replace the parts of the library's document that are generated from our models and docstrings."""
    bodies: dict[str, type[BaseModel]] = {}
    for operation in operations(app):
        entry = document["paths"].get(operation.path, {}).get(operation.method)
        if entry is not None:
            entry["description"] = _paragraphs(operation.view)
            entry["parameters"] = [*_parameters(operation), *entry.pop(EXTENSION, ())]
            body = operation.model("body")
            if body is not None:
                bodies[body.__name__] = body
                entry["requestBody"] = _body(body)
            _share_errors(entry)
    components = document["components"]
    components["schemas"] = _schemas(bodies)
    components["responses"] = responses.shared()


def _paragraphs(view: Any) -> str:
    text = inspect.cleandoc(view.__doc__ or "")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for place in ("path", "query"):
        model = operation.model(place)
        if model is None:
            continue
        schema = model.model_json_schema()
        for name, described in schema.get("properties", {}).items():
            parameter = _parameter(described)
            if name == "agent_type" and place == "query":
                parameter["schema"]["enum"] = _agent_types()
            required = place == "path" or name in schema.get("required", ())
            yield {"name": name, "in": place, "required": required, **parameter}


def _parameter(described: dict[str, Any]) -> dict[str, Any]:
    """A parameter is present or absent, never null."""
    schema = {name: value for name, value in described.items() if name not in ("title", "description", "anyOf")}
    choices = [choice for choice in described.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        schema |= choices[0]
    elif choices:
        schema["anyOf"] = choices
    described = {"description": described["description"]} if "description" in described else {}
    return {**described, "schema": schema}


def _body(model: type[BaseModel]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": SCHEMA + model.__name__}}
    extra: Any = model.model_config.get("openapi_extra", {})
    if "example" in extra:
        content["example"] = extra["example"]
    return {"required": True, "content": {"application/json": content}}


def _share_errors(entry: dict[str, Any]) -> None:
    for status, response in entry["responses"].items():
        for name, error in responses.shared().items():
            if response == error:
                entry["responses"][status] = {"$ref": f"#/components/responses/{name}"}


def _schemas(bodies: dict[str, type[BaseModel]]) -> dict[str, Any]:
    returned = [(model, "serialization") for model in responses.models.values()]
    accepted = [(model, "validation") for model in bodies.values() if model is not InvokeRequest]
    _, found = models_json_schema([*returned, *accepted], ref_template=SCHEMA + "{model}")  # type: ignore[list-item]
    schemas: dict[str, Any] = found["$defs"]
    schemas |= invocations.schemas()
    if "RetryRequest" in schemas:
        schemas["RetryRequest"]["properties"]["agent_type"]["anyOf"][0]["enum"] = _agent_types()
    for name, schema in schemas.items():
        if schema.get("title") == name:
            del schema["title"]
        _hide_alternatives(schema)
        for field, described in schema.get("properties", {}).items():
            _describe_field(field, described)
    return dict(sorted(schemas.items()))


def _agent_types() -> list[str]:
    return [agent.agent_type for agent in registry.all()]


def _hide_alternatives(schema: dict[str, Any]) -> None:
    """Hide alternatives of fields from generators, which would create several types without the fields.

    A double negation means the same to validators, and generators ignore it.
    """
    rules = {name: schema.pop(name) for name in ("anyOf", "oneOf") if "properties" in schema and name in schema}
    if rules:
        schema["not"] = {"not": rules}


def _describe_field(name: str, field: dict[str, Any]) -> None:
    """Remove what generators misread: a title becomes a second name, and a default a required field.

    A nullable type is named after its field; generators would number it: `StatusType0`.
    """
    if isinstance(field.get("title"), str):
        del field["title"]
    default = field.pop("default", None)
    if default not in (None, "", [], {}):
        shown = default if isinstance(default, str) else json.dumps(default)
        field["description"] = f"{field.get('description', '')} By default `{shown}`.".strip()
    choices = field.get("anyOf", [])
    if {"type": "null"} in choices:
        title = "".join(part.title() for part in name.split("_"))
        named = [{**choice, "title": title} if _is_named(choice) else choice for choice in choices]
        field["anyOf"] = named if len(choices) == 2 else choices


def _is_named(schema: dict[str, Any]) -> bool:
    """Return whether generators create a separate type for it."""
    return "enum" in schema or schema.get("type") == "object"
