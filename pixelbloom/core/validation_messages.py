"""Pydantic's validation errors as messages of the API. Each completes a sentence that starts with the field's name."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_FORM = "must match the required format"
_TEXT = "must be text"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_TRUTH = "must be true or false"
_LIST = "must be a list"
_OBJECT = "must be an object"
_UUID = "must be a UUID"
_JSON = "must be JSON"
_DEEP = "is nested too deeply"
_TYPES = {
    "missing": "is required",
    "extra_forbidden": "is unknown",
    "none_required": "must be null",
    "string_type": _TEXT,
    "string_sub_type": _TEXT,
    "string_unicode": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "must be a whole number of fewer digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "iterable_type": _LIST,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "uuid_version": _UUID,
    "json_type": _JSON,
    "json_invalid": _JSON,
    "recursion_loop": _DEEP,
    "recursion_depth_exceeded": _DEEP,
    "date_past": "must be in the past",
    "datetime_past": "must be in the past",
    "date_future": "must be in the future",
    "datetime_future": "must be in the future",
}
#: By prefix of the error type, where all errors of a kind have the same message.
_KINDS = {
    "datetime_": "must be a time in ISO 8601, like 2026-01-31T12:00:00Z",
    "timezone_": "must be a time in ISO 8601, like 2026-01-31T12:00:00Z",
    "date_": "must be a date like 2026-01-31",
    "url_": "must be a URL",
}
#: The unit of a value's length, by Pydantic's name of the type.
_UNITS = {"List": "item", "Tuple": "item", "Set": "item", "Frozenset": "item", "Dictionary": "field"}


def sentence(error: Mapping[str, Any]) -> str:
    """Return the message of one of `ValidationError.errors()`, in lower case and without a full stop."""
    kind, bounds = str(error["type"]), error.get("ctx") or {}
    if kind in _TYPES:
        return _TYPES[kind]
    match kind:
        case "value_error" | "assertion_error":
            return _own(str(error["msg"]))
        case "string_too_short":
            return _at_least(bounds["min_length"], "character")
        case "string_too_long":
            return f"must have at most {_count(bounds['max_length'], 'character')}"
        case "too_short":
            return _at_least(bounds["min_length"], _UNITS.get(bounds["field_type"]))
        case "too_long":
            unit, most = _UNITS.get(bounds["field_type"]), bounds["max_length"]
            return f"must have at most {_count(most, unit)}" if unit else f"must be at most {most} long"
        case "greater_than":
            return f"must be greater than {_number(bounds['gt'])}"
        case "greater_than_equal":
            return f"must be {_number(bounds['ge'])} or more"
        case "less_than":
            return f"must be less than {_number(bounds['lt'])}"
        case "less_than_equal":
            return f"must be {_number(bounds['le'])} or less"
        case "multiple_of":
            return f"must be a multiple of {_number(bounds['multiple_of'])}"
        case "decimal_max_digits":
            return f"must have at most {_count(bounds['max_digits'], 'digit')}"
        case "decimal_whole_digits":
            return f"must have at most {_count(bounds['whole_digits'], 'digit')} before the point"
        case "decimal_max_places":
            return f"must have at most {_count(bounds['decimal_places'], 'digit')} after the point"
        case "literal_error" | "enum":
            return f"must be {bounds['expected']}".replace("'", "")
        case "union_tag_invalid":
            return f"must have as {bounds['discriminator']} one of {bounds['expected_tags']}".replace("'", "")
        case "union_tag_not_found":
            return f"must have {bounds['discriminator']}".replace("'", "")
    return next((message for prefix, message in _KINDS.items() if kind.startswith(prefix)), _FORM)


def _own(message: str) -> str:
    """Return the message of one of our validators."""
    text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ").strip().rstrip(".;")
    return (text[0].lower() + text[1:] if text[:2] != text[:2].upper() else text) or _FORM


def _at_least(least: int, unit: str | None) -> str:
    if least == 1:
        return "must not be empty"
    return f"must have at least {_count(least, unit)}" if unit else f"must be at least {least} long"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _number(bound: Any) -> str:
    """Return the number in decimal notation. Pydantic formats some as Python does: `Decimal('1E+10')`."""
    text = re.sub(r"^Decimal\('(.+)'\)$", r"\1", str(bound))
    try:
        plain = f"{Decimal(text):f}"
    except InvalidOperation:
        return text
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
