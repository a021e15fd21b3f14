"""JSON Schemas of inputs that match their validators, so that input valid by the schema is accepted."""

import re
from typing import Any

from pydantic import GetJsonSchemaHandler, JsonValue, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

#: The characters that `str_strip_whitespace` removes: Unicode white space.
_BLANK = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ANY = r"[^\x00]"
_INK = rf"[^\x00{_BLANK}]"

#: Regular expressions do not agree on whether the last two are white space, so they are named.
_SPACE = r"\s\x85\ufeff"
EMAIL = rf"^[^@\x00{_SPACE}]+@[^@\x00{_SPACE}]+$"
#: Not only white space.
VISIBLE_TEXT = rf"^[^\x00]*[^\x00{_SPACE}][^\x00]*$"

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

NOT_NULL: dict[str, JsonValue] = {"not": {"type": "null"}}
NULL: dict[str, JsonValue] = {"type": "null"}


def text_pattern(least: int) -> str:
    """Return a pattern of texts without NUL that have at least this length when stripped."""
    ends = {0: "", 1: _INK}.get(least, rf"{_INK}{_ANY}{{{least - 2},}}{_INK}")
    return rf"^{_ANY}*{ends}{_ANY}*$" if ends else rf"^{_ANY}*$"


def amount_text(digits: int) -> str:
    """Return a pattern of positive amounts with at most this many digits before the point, like `$20k`.

    It covers the usual forms that `amounts.as_amount` parses, and browsers support it too.
    """
    plain, thousands, millions = (rf"[1-9][0-9]{{0,{most - 1}}}([.,][0-9]{{1,2}})?" for most in _scales(digits))
    grouped = "|".join(rf"[1-9][0-9]{{0,2}}({separator}[0-9]{{3}}){{1,2}}" for separator in (",", r"\.", " ", "'"))
    currency = "[$€£₹]|USD|EUR|GBP|INR|CHF"
    return rf"^(({currency}) ?)?({plain}|{grouped}|{thousands} ?[kK]|{millions} ?[mM])( ?({currency}))?$"


def _scales(digits: int) -> tuple[int, int, int]:
    return digits, digits - 3, digits - 6


def given(*names: str, absent: tuple[str, ...] = (), **bounds: dict[str, JsonValue]) -> JsonValue:
    """Return a schema of objects with these fields and without those; null counts as absent."""
    properties: dict[str, JsonValue] = {name: {**NOT_NULL, **bounds.get(name, {})} for name in names}
    properties |= dict.fromkeys(absent, NULL)
    return {"required": list(names), "properties": properties}


class DescribedAs:
    """An annotation: the field is validated as its own type, but described by the schema of the other type."""

    def __init__(self, other: Any) -> None:
        self._other = TypeAdapter(other)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._other.core_schema)


class InputJsonSchema(GenerateJsonSchema):
    """Pydantic's schema, plus what it omits: texts contain no NUL, and surrounding whitespace does not count."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """Add a pattern to each text without one."""
        found = super().str_schema(schema)
        found.setdefault("pattern", text_pattern(found.get("minLength", 0)))
        return found

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Reject keys that do not match their pattern instead of ignoring them."""
        found = super().dict_schema(schema)
        if "patternProperties" in found:
            found["additionalProperties"] = False
        return found


def number(value: Any) -> Any:
    """Reject values that JSON Schema does not call numbers, but Pydantic would convert."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


def iso_date(value: Any) -> Any:
    """Reject timestamps, which Pydantic would convert to a date."""
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATE.fullmatch(value)):
        raise ValueError("must be a date in ISO 8601, like 2026-01-31")
    return value
