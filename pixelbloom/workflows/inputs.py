"""Validates the inputs of a workflow by its JSON Schema (draft 2020-12), and that schema itself.

No schema or input can crash, hang or access anything outside. A schema refers only to itself, and not without end. Its
patterns are matched in linear time. The number of checks is limited: a few lines of `$ref` could cause unbounded work.
"""

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextvars import ContextVar
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, cast
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from pydantic import StringConstraints, TypeAdapter
from pydantic import ValidationError as Mismatch
from pydantic_core import SchemaError as PatternError

from pixelbloom.agents.knowledge.amounts import as_amount
from pixelbloom.core.text import unstorable
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.workflows.definition import MAX_ERRORS, Definition
from pixelbloom.workflows.graph import cycle

MAX_SCHEMAS = 500
#: Each may take 50 ms to compile.
MAX_PATTERNS = 50
MAX_PATTERN = 500
#: About two seconds.
MAX_CHECKS = 300_000

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ONE = {"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"} | {
    "unevaluatedItems",
    "unevaluatedProperties",
}
_LISTED = {"allOf", "anyOf", "oneOf", "prefixItems"}
_NAMED = {"$defs", "definitions", "dependentSchemas", "properties"}
#: Keywords whose schemas apply to the same value.
_IN_PLACE = {"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"}
_BOUNDS = frozenset(
    {"minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
)


def check_inputs(definition: Definition, inputs: Mapping[str, Any]) -> None:
    """Validate inputs against the definition. Raises InvalidInput with a FieldError for each error."""
    given = dict(inputs)
    found = list(islice(unstorable(given, "inputs"), MAX_ERRORS))
    if definition.inputs is not None and not found:
        try:
            found = [_field_error(error) for error in islice(errors(definition.inputs, given), MAX_ERRORS)]
        except TooMuchWork:
            found = [FieldError("inputs", "takes too much work to check; send less, or simplify the schema")]
    if found:
        raise InvalidInput.of(found, f"The inputs of {definition.workflow_id} are invalid: ")


def _parts(error: ValidationError) -> tuple[Any, Any, Any]:
    return error.validator, error.validator_value, error.schema


def _field_error(error: ValidationError) -> FieldError:
    """Return the error without the invalid value, which may be long."""
    field = ".".join(("inputs", *(str(part)[:100] for part in error.absolute_path)))
    return FieldError(field, _sentence(*_parts(error))[:500])


def _sentence(rule: Any, wanted: Any, schema: Any) -> str:
    match rule:
        case None:  # the schema `false`, for which jsonschema reports no path
            return "has a part that is not allowed"
        case "required":
            return "is required"
        case "type":
            return f"must be of type {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
        case "enum":
            return f"must be one of {', '.join(str(value) for value in wanted)}"
        case "pattern" if wanted == r"\S":
            return "must not be blank"
        case "pattern":
            return "must match the required format"
        case "format":
            return "must be an amount, such as 20000, $20k or 20.000 EUR"
        case "uniqueItems":
            return "has the same item twice"
        case "additionalProperties":
            known = ", ".join(schema.get("properties", {}))
            return f"has an unknown field; known are {known}" if known else "allows no fields"
        case "anyOf" if all(isinstance(way, dict) and way.keys() == {"required"} for way in wanted):
            return f"needs {', or '.join(' and '.join(way['required']) for way in wanted)}"
    if rule in _BOUNDS:
        return f"breaks {rule} {wanted}"
    return f"breaks the rule {rule} of the workflow's schema"


class TooMuchWork(Exception):
    """The check exceeded its limit of work."""


def schema_errors(schema: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield every error of a workflow's schema of its inputs."""
    found: dict[str, Mapping[str, Any]] = {}
    again: dict[str, list[str]] = {}
    for pointer, part, same in _schemas(schema):
        found[pointer] = part
        again.setdefault(pointer, [])
        if same is not None:
            again[same].append(pointer)
        if len(found) > MAX_SCHEMAS:
            yield FieldError("inputs", f"has more than {MAX_SCHEMAS} schemas in it")
            return
    if len({str(part["pattern"]) for part in found.values() if "pattern" in part}) > MAX_PATTERNS:
        yield FieldError("inputs", f"has more than {MAX_PATTERNS} different patterns")
        return
    invalid = [error for pointer, part in found.items() for error in _keywords(pointer, part, found)]
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        place = ".".join(("inputs", *(str(part) for part in error.absolute_path)))[:200]
        invalid.insert(0, FieldError(place, "is not a JSON Schema (draft 2020-12)"))
    yield from invalid
    if not invalid:
        for pointer, part in found.items():
            if "$ref" in part:
                again[pointer].append(_target(part["$ref"]))
        if (round_ := cycle(again)) is not None:
            yield FieldError(_place(round_[0]), "refers to itself without end; put a level (properties, items) between")


def errors(schema: Mapping[str, Any], value: Any) -> Iterator[ValidationError]:
    """Yield the errors of a value by a valid schema. Raises TooMuchWork."""
    plain = {key: part for key, part in schema.items() if key not in ("$schema", "$id")}
    validator = _Bounded(plain)
    _left.set([MAX_CHECKS])
    try:
        yield from validator.iter_errors(value)
    except RecursionError:
        raise TooMuchWork from None


def _schemas(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str | None]]:
    """Yield each nested schema with its JSON pointer, and the pointer of the one that applies to the same value."""
    waiting: list[tuple[str, Any, str | None]] = [("", schema, None)]
    while waiting:
        pointer, part, same = waiting.pop()
        if not isinstance(part, dict):
            continue
        yield pointer, part, same
        for key, value in part.items():
            above = pointer if key in _IN_PLACE else None
            if key in _ONE:
                waiting.append((f"{pointer}/{key}", value, above))
            elif key in _LISTED and isinstance(value, list):
                waiting.extend((f"{pointer}/{key}/{index}", item, above) for index, item in enumerate(value))
            elif key in _NAMED and isinstance(value, dict):
                waiting.extend((f"{pointer}/{key}/{_escaped(name)}", item, above) for name, item in value.items())


def _keywords(pointer: str, part: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[FieldError]:
    where = _place(pointer)
    if "$ref" in part and not (str(part["$ref"]).startswith("#") and _target(part["$ref"]) in found):
        yield FieldError(where, "has a $ref to no schema in this one; write it as #/$defs/name")
    if "$dynamicRef" in part:
        yield FieldError(where, "has a $dynamicRef, which is not supported; use $ref")
    if "patternProperties" in part:
        yield FieldError(
            where, "has patternProperties, which are not supported; use propertyNames, additionalProperties"
        )
    if pointer and ("$id" in part or "$schema" in part):
        yield FieldError(where, "has an $id or $schema, which only the outermost schema may have")
    if not pointer and str(part.get("$schema", DIALECT)).removesuffix("#") != DIALECT:
        yield FieldError(where, f"has an unsupported $schema; only {DIALECT} is supported")
    pattern = part.get("pattern")
    if isinstance(pattern, str):
        try:
            if len(pattern) > MAX_PATTERN:
                yield FieldError(f"{where}.pattern", f"has more than {MAX_PATTERN} characters")
            else:
                _matcher(pattern)
        except PatternError:
            yield FieldError(f"{where}.pattern", "cannot be matched; leave out look-around and back-references")


def _target(reference: Any) -> str:
    return unquote(str(reference)[1:])


def _escaped(name: str) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")


def _place(pointer: str) -> str:
    return f"inputs{pointer.replace('/', '.')}"[:200]


@lru_cache(maxsize=512)
def _matcher(pattern: str) -> TypeAdapter[str]:
    """Compile with Pydantic's regex engine, which never backtracks. Python's can take hours for 40 characters."""
    return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if isinstance(value, str):
        try:
            _matcher(pattern).validate_python(value)
        except Mismatch:
            yield ValidationError("does not match")


def _format(validator: Any, name: str, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    """Check the only supported format, `amount`: a sum of money in common notations."""
    if name == "amount" and isinstance(value, str):
        try:
            amount = as_amount(value)
        except ValueError:
            yield ValidationError("is not an amount")
        else:
            for rule, breaks in (("minimum", operator.lt), ("maximum", operator.gt)):
                if rule in schema and breaks(amount, Decimal(str(schema[rule]))):
                    yield ValidationError("is out of bounds", validator=rule, validator_value=schema[rule])


def _required(validator: Any, names: list[str], value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if isinstance(value, dict):
        yield from (ValidationError("is missing", path=[name]) for name in names if name not in value)


def _unique(validator: Any, wanted: bool, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if wanted and isinstance(value, list) and len({_same(item) for item in value}) < len(value):
        yield ValidationError("has an item twice")


def _same(value: Any) -> Hashable:
    """Return a key that is equal for values that JSON Schema calls equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, dict):
        return "object", frozenset((key, _same(part)) for key, part in value.items())
    if isinstance(value, list):
        return "list", tuple(_same(part) for part in value)
    return isinstance(value, bool), value


_Rule = Callable[[Any, Any, Any, Any], Any]
_left: ContextVar[list[int]] = ContextVar("checks_left")


def _counted(rule: _Rule) -> _Rule:
    def check(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
        left = _left.get()
        left[0] -= 1
        if left[0] < 0:
            raise TooMuchWork
        return rule(validator, wanted, value, schema)

    return check


_RULES: dict[str, _Rule] = {
    **Draft202012Validator.VALIDATORS,
    "format": _format,
    "pattern": _pattern,
    "required": _required,
    "uniqueItems": _unique,
}
_Bounded = cast(Any, extend)(Draft202012Validator, {name: _counted(rule) for name, rule in _RULES.items()})
