"""The JSON Schema of an input says what its validators do, so that whoever fills it in by the schema is not refused."""

import re
from typing import Any

from pydantic import GetJsonSchemaHandler, JsonValue, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

#: What `str_strip_whitespace` takes away: the characters that Unicode calls white space.
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
    """Texts without NUL that are so long at least when the blanks around them are gone."""
    ends = {0: "", 1: _INK}.get(least, rf"{_INK}{_ANY}{{{least - 2},}}{_INK}")
    return rf"^{_ANY}*{ends}{_ANY}*$" if ends else rf"^{_ANY}*$"


def amount_text(digits: int) -> str:
    """Sums of so many digits before the point at most, as `$20k`, `15000` or `20.000 EUR`, above zero.

    The usual ones of those that `amounts.as_amount` reads, by a pattern that browsers know too.
    """
    plain, thousands, millions = (rf"[1-9][0-9]{{0,{most - 1}}}([.,][0-9]{{1,2}})?" for most in _scales(digits))
    grouped = "|".join(rf"[1-9][0-9]{{0,2}}({separator}[0-9]{{3}}){{1,2}}" for separator in (",", r"\.", " ", "'"))
    currency = "[$€£₹]|USD|EUR|GBP|INR|CHF"
    return rf"^(({currency}) ?)?({plain}|{grouped}|{thousands} ?[kK]|{millions} ?[mM])( ?({currency}))?$"


def _scales(digits: int) -> tuple[int, int, int]:
    return digits, digits - 3, digits - 6


def given(*names: str, absent: tuple[str, ...] = (), **bounds: dict[str, JsonValue]) -> JsonValue:
    """A schema of objects that have these fields and lack those; null is as good as absent."""
    properties: dict[str, JsonValue] = {name: {**NOT_NULL, **bounds.get(name, {})} for name in names}
    properties |= dict.fromkeys(absent, NULL)
    return {"required": list(names), "properties": properties}


class DescribedAs:
    """An annotation: the field is read as its own type, and takes what the other type describes."""

    def __init__(self, other: Any) -> None:
        self._other = TypeAdapter(other)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._other.core_schema)


class InputJsonSchema(GenerateJsonSchema):
    """As Pydantic has it, and with what it does not tell: texts hold no NUL, and blanks around them do not count."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """A pattern for each text that has none of its own."""
        found = super().str_schema(schema)
        found.setdefault("pattern", text_pattern(found.get("minLength", 0)))
        return found

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Keys that break their pattern are refused, not passed over."""
        found = super().dict_schema(schema)
        if "patternProperties" in found:
            found["additionalProperties"] = False
        return found


def number(value: Any) -> Any:
    """Refuse what JSON Schema does not call a number, which Pydantic would read as one."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


def iso_date(value: Any) -> Any:
    """Refuse timestamps, which Pydantic would read as a date."""
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATE.fullmatch(value)):
        raise ValueError("must be a date in ISO 8601, like 2026-01-31")
    return value
