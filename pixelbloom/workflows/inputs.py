"""Validates the inputs of a workflow."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError

from pixelbloom.core.text import unstorable
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.workflows.definition import MAX_ERRORS, Definition
from pixelbloom.workflows.schema import TooMuchWork, errors

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
