"""Structured replies: the JSON Schema that a provider gets, and parsing the JSON in its reply.

Providers turn the schema into a grammar, and each supports a different subset: bounds on strings make llama.cpp's
grammar huge or invalid, `$ref` and `default` are rejected elsewhere. So they get structure, types, names, descriptions
and small list bounds; Pydantic checks the rest of the reply.
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pixelbloom.core.text import clean
from pixelbloom.models.failures import InvalidReply

M = TypeVar("M", bound=BaseModel)

#: Start positions to try, and characters to read for all of them as a multiple of the text's length.
MAX_PLACES = 1000
MAX_READS = 8

#: The keywords and the list bounds that the schema for a provider retains.
_SUPPORTED = ("type", "enum", "const", "description")
_MAX_ITEMS = 20

_DECODER = json.JSONDecoder(strict=False)


def read_json(text: str, model_type: type[M]) -> M:
    """Return the reply as `model_type`. Raises InvalidReply, whose message tells the model what to correct.

    Text around the object is ignored: prose, code fences, braces in prose, other objects. Of several valid objects, the
    last one is used: models often revise their reply.
    """
    objects, reason, reach = _objects(text)
    for value, length in reversed(objects):
        try:
            return _validated(value, model_type)
        except ValidationError as error:
            if length >= reach:
                reach, reason = length, _mismatch(error)
    raise InvalidReply(reason)


def _objects(text: str) -> tuple[list[tuple[dict[str, Any], int]], str, int]:
    """Return the top-level JSON objects in the text, each with its length; why the longest failed attempt failed, and
    its length.
    """
    found: list[tuple[dict[str, Any], int]] = []
    reason, reach = "the reply contains no JSON object", -1
    at, reads = text.find("{"), 0
    for _ in range(MAX_PLACES):
        if at < 0 or reads > MAX_READS * len(text):
            break
        end = at + 1
        try:
            value, end = _DECODER.raw_decode(text, at)
            found.append((clean(value), end - at))
            reads += end - at
        except RecursionError:
            return found, "the JSON is nested too deeply", len(text)
        except json.JSONDecodeError as error:
            reads += error.pos - at + 1
            if error.pos - at > reach:
                reason, reach = f"the reply is not JSON: {error.msg} (character {error.pos - at + 1})", error.pos - at
            if error.msg.startswith("Unterminated string") or not text[error.pos :].strip():
                # It extends to the end of the text: objects inside are parts of the reply, not the reply.
                break
        except ValueError as error:
            reason, reach = f"the reply is not JSON: {error}", max(reach, 0)
        at = text.find("{", end)
    return found, reason, reach


def _validated(value: dict[str, Any], model_type: type[M]) -> M:
    """Validate a value, or the value inside if an unknown single member wraps it. Raises ValidationError."""
    inner = next(iter(value.values())) if len(value) == 1 else None
    if isinstance(inner, dict) and not value.keys() & model_type.model_fields.keys():
        return model_type.model_validate(inner)
    return model_type.model_validate(value)


def _mismatch(error: ValidationError) -> str:
    errors = error.errors(include_url=False, include_input=False)[:5]
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'reply'}: {item['msg']}" for item in errors)


def wire_schema(model_type: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of `model_type`, inlined and reduced; every property is required and no others are allowed."""
    schema = model_type.model_json_schema(mode="validation")
    return _reduce(schema, schema.get("$defs", {}))


def _reduce(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _reduce({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    reduced: dict[str, Any] = {key: node[key] for key in _SUPPORTED if key in node}
    if "anyOf" in node:
        reduced["anyOf"] = [_reduce(choice, definitions) for choice in node["anyOf"]]
    if "items" in node:
        reduced["items"] = _reduce(node["items"], definitions)
        reduced |= {k: node[k] for k in ("minItems", "maxItems") if node.get(k, _MAX_ITEMS + 1) <= _MAX_ITEMS}
    if "properties" in node:
        reduced["properties"] = {name: _reduce(part, definitions) for name, part in node["properties"].items()}
        reduced["required"] = list(node["properties"])
        reduced["additionalProperties"] = False
    return reduced
