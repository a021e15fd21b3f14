"""What Pydantic finds wrong with a value, in the API's words: after the name of a field they make a sentence."""

from collections.abc import Mapping
from typing import Any

_TYPES = {
    "string_type": "must be text",
    "string_sub_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "none_required": "must be null",
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_pattern_mismatch": "has not the right form",
    "recursion_loop": "is nested too deeply",
}


def sentence(fault: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()` in words, beginning in small letters and without a full stop."""
    kind, bounds = str(fault["type"]), fault.get("ctx") or {}
    if kind in _TYPES:
        return _TYPES[kind]
    match kind:
        case "string_too_short" | "too_short":
            least = bounds["min_length"]
            what = "characters" if kind == "string_too_short" else "items"
            return "must not be empty" if least == 1 else f"must have at least {least} {what}"
        case "string_too_long" | "too_long":
            what = "characters" if kind == "string_too_long" else "items"
            return f"must have at most {bounds['max_length']} {what}"
        case "greater_than":
            return f"must be greater than {bounds['gt']}"
        case "greater_than_equal":
            return f"must be {bounds['ge']} or more"
        case "less_than":
            return f"must be less than {bounds['lt']}"
        case "less_than_equal":
            return f"must be {bounds['le']} or less"
        case "multiple_of":
            return f"must be a multiple of {bounds['multiple_of']}"
        case "literal_error" | "enum":
            return f"must be {bounds['expected']}".replace("'", "")
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    return message[:1].lower() + message[1:] if message[:2] != message[:2].upper() else message
