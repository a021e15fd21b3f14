"""Whether a workflow takes these inputs."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError

from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.workflows.definition import MAX_FAULTS, Definition
from pixelbloom.workflows.schema import TooMuchWork, errors
from pixelbloom.workflows.storable import unstorable

_BOUNDS = frozenset(
    {"minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
)


def check_inputs(definition: Definition, inputs: Mapping[str, Any]) -> None:
    """Raises InvalidInput with a FieldError for each fault."""
    given = dict(inputs)
    faults = list(islice(unstorable(given, "inputs"), MAX_FAULTS))
    if definition.inputs is not None and not faults:
        try:
            faults = [_fault(error) for error in islice(errors(definition.inputs, given), MAX_FAULTS)]
        except TooMuchWork:
            faults = [FieldError("inputs", "takes too much work to check; send less, or simplify the schema")]
    if faults:
        first = faults[0]
        raise InvalidInput(
            f"The inputs of {definition.workflow_id} are not right: {first.field} {first.message}.", faults
        )


def _parts(error: ValidationError) -> tuple[Any, Any, Any]:
    return error.validator, error.validator_value, error.schema


def _fault(error: ValidationError) -> FieldError:
    """In the API's words; the value at fault is not repeated, it may be long."""
    field = ".".join(("inputs", *(str(part)[:100] for part in error.absolute_path)))
    return FieldError(field, _sentence(*_parts(error))[:500])


def _sentence(rule: Any, wanted: Any, schema: Any) -> str:
    match rule:
        case None:  # the schema `false`, of which jsonschema does not tell the place
            return "has a part that is not taken"
        case "required":
            return "is required"
        case "type":
            return f"must be of type {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
        case "enum":
            return f"must be one of {', '.join(str(value) for value in wanted)}"
        case "pattern" if wanted == r"\S":
            return "must not be blank"
        case "pattern":
            return "has not the right form"
        case "format":
            return "must be an amount, such as 20000, $20k or 20.000 EUR"
        case "uniqueItems":
            return "has the same item twice"
        case "additionalProperties":
            known = ", ".join(schema.get("properties", {}))
            return f"has a field that is not known; known are {known}" if known else "takes no fields"
        case "anyOf" if all(isinstance(way, dict) and way.keys() == {"required"} for way in wanted):
            return f"needs {', or '.join(' and '.join(way['required']) for way in wanted)}"
    if rule in _BOUNDS:
        return f"breaks {rule} {wanted}"
    return f"breaks the rule {rule} of the workflow's schema"
