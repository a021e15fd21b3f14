"""The JSON Schema that a provider is given for an answer.

Providers turn it into a grammar, each understanding another part of the language: bounds on strings make
llama.cpp's grammar huge or refused, `$ref` and `default` are refused elsewhere. So they get shape, types,
names, descriptions and small list bounds; Pydantic checks the rest when the answer is here.
"""

from typing import Any

from pydantic import BaseModel

_KEPT = ("type", "enum", "const", "description")
_MAX_ITEMS = 20


def wire_schema(model_type: type[BaseModel]) -> dict[str, Any]:
    """The schema of `model_type`, inlined and reduced; every property is required and no other allowed."""
    schema = model_type.model_json_schema(mode="validation")
    return _reduce(schema, schema.get("$defs", {}))


def _reduce(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _reduce({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    kept: dict[str, Any] = {key: node[key] for key in _KEPT if key in node}
    if "anyOf" in node:
        kept["anyOf"] = [_reduce(choice, definitions) for choice in node["anyOf"]]
    if "items" in node:
        kept["items"] = _reduce(node["items"], definitions)
        kept |= {k: node[k] for k in ("minItems", "maxItems") if node.get(k, _MAX_ITEMS + 1) <= _MAX_ITEMS}
    if "properties" in node:
        kept["properties"] = {name: _reduce(part, definitions) for name, part in node["properties"].items()}
        kept["required"] = list(node["properties"])
        kept["additionalProperties"] = False
    return kept
