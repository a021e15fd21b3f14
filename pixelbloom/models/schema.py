"""The JSON Schema that a provider gets for a reply.

Providers turn it into a grammar, and each supports a different subset: bounds on strings make llama.cpp's grammar huge
or invalid, `$ref` and `default` are rejected elsewhere. So they get structure, types, names, descriptions and small
list bounds; Pydantic checks the rest of the reply.
"""

from typing import Any

from pydantic import BaseModel

_SUPPORTED = ("type", "enum", "const", "description")
_MAX_ITEMS = 20


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
