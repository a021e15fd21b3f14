"""Inputs of all sorts, made from an agent's own JSON Schema."""

from functools import cache
from typing import Any

import jsonschema_rs
from hypothesis import strategies as st
from pydantic import BaseModel

#: Words that mean something to one agent or another, between words that do not.
_WORDS = (
    "website shop logo seo price urgent asap next quarter $20k 3 months SaaS retail hello thanks broken é 漢字 "
    "<b> </material> {topic} # % “ -1 budget over refund"
)
_TEXT = st.lists(st.sampled_from(_WORDS.split()), min_size=1, max_size=8).map(" ".join) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
)


@cache
def validator(model: type[BaseModel]) -> jsonschema_rs.Draft202012Validator:
    """Return a validator of the model's schema, formats included."""
    return jsonschema_rs.Draft202012Validator(model.model_json_schema(), validate_formats=True)


@cache
def inputs(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Values of the model's schema."""
    schema = model.model_json_schema()
    return _node(schema, schema.get("$defs", {})).filter(jsonschema_rs.Draft202012Validator(schema).is_valid)


def _node(node: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in node:
        return _node(defs[node["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in node and "properties" not in node:
        return st.one_of(*(_node(choice, defs) for choice in node["anyOf"]))
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node.get("type"):
        case "object" if "patternProperties" in node:
            [values] = node["patternProperties"].values()
            return st.dictionaries(_string(node["propertyNames"]), _node(values, defs), min_size=1, max_size=4)
        case "object":
            known = {name: _node(part, defs) for name, part in node["properties"].items()}
            wanted = set(node.get("required", ()))
            return st.fixed_dictionaries(
                {name: part for name, part in known.items() if name in wanted},
                optional={name: part for name, part in known.items() if name not in wanted},
            )
        case "array":
            most = min(node.get("maxItems", 6), 6)
            return st.lists(_node(node["items"], defs), min_size=node.get("minItems", 0), max_size=most)
        case "integer":
            return st.integers(node.get("minimum", 0), node.get("maximum", 10**9))
        case "number":
            least = node.get("minimum", node.get("exclusiveMinimum", 0))
            most = node.get("maximum", 1e10)
            return st.integers(int(least), int(most)) | st.decimals(str(least), str(most), places=2).map(float)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "string":
            return _string(node)
        case kind:
            raise AssertionError(f"no strategy for {kind}: {node}")


def _string(node: dict[str, Any]) -> st.SearchStrategy[str]:
    match node.get("format"):
        case "uuid":
            return st.uuids().map(str)
        case "date":
            return st.dates().map(str)
    pattern = node.get("pattern", "")
    if "@" in pattern:
        return st.sampled_from(["ada@example.com", "bo@gmail.com", "@x@y"])
    if "a-fA-F" in pattern:
        return st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
    if "{3}" in pattern:
        return st.sampled_from(["usd", "eur", "jpy"])
    if "$" in pattern[1:-1]:
        return st.integers(1, 9999).map(str) | st.sampled_from(["$20k", "1.5m"])
    return _TEXT.map(lambda text: text[: node.get("maxLength", 200)])
