"""Treats null for an optional field as an absent field, in every request and in every agent's input."""

from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

#: Keywords that belong beside the alternatives of a schema, not into one of them.
_ANNOTATIONS = ("title", "description", "default", "deprecated", "examples")


class NullIsAbsent(BaseModel):
    """A model whose optional fields accept null.

    A field whose type excludes null gets its default and does not count as set. A field whose type includes null stays
    null, so that a change can clear a value.
    """

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict) or None not in value.values():
            return value
        names = _never_null(cls)
        return {name: item for name, item in value.items() if item is not None or name not in names}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow null in the schema of inputs. Outputs have no defaults: an optional field is present or absent."""
        found = handler(schema)
        resolved = handler.resolve_ref_schema(found)
        required = resolved.get("required", ())
        properties = resolved.get("properties", {})
        for name in properties.keys() - set(required):
            described = dict(properties[name])
            if handler.mode == "serialization" or described.get("default", ...) is None:
                described.pop("default", None)
            properties[name] = nullable(described) if handler.mode == "validation" else described
        return found


def nullable(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return the schema with null allowed."""
    if not schema.keys() - set(_ANNOTATIONS) or {"type": "null"} in schema.get("anyOf", ()):
        return schema
    around = {name: schema[name] for name in _ANNOTATIONS if name in schema}
    inner = {name: value for name, value in schema.items() if name not in around}
    choices = inner["anyOf"] if inner.keys() == {"anyOf"} else [inner]
    return {"anyOf": [*choices, {"type": "null"}], **around}


@cache
def _never_null(model: type[BaseModel]) -> frozenset[str]:
    """Return the optional fields, by name and alias, whose types exclude null."""
    names: set[str | None] = set()
    for name, field in model.model_fields.items():
        if not field.is_required() and not _has_null(field.annotation):
            names |= {name, field.alias}
    return frozenset(name for name in names if name is not None)


def _has_null(annotation: Any) -> bool:
    if hasattr(annotation, "__value__"):  # an alias
        return _has_null(annotation.__value__)
    if get_origin(annotation) is Annotated:
        return _has_null(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return any(_has_null(choice) for choice in get_args(annotation))
    if get_origin(annotation) is Literal:
        return None in get_args(annotation)
    return annotation in (Any, None, NoneType)
