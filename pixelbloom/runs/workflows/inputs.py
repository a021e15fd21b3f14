"""Whether a workflow takes these inputs."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.runs.workflows.checks import unstorable
from pixelbloom.runs.workflows.definition import MAX_FAULTS, Definition


def check_inputs(definition: Definition, inputs: Mapping[str, Any]) -> None:
    """Raises InvalidInput with a FieldError for each fault."""
    faults = [
        FieldError(f"inputs.{path}", "has NUL characters or lone surrogates, which cannot be stored")
        for path in unstorable(dict(inputs))
    ]
    if definition.inputs is not None and not faults:
        validator = Draft202012Validator(definition.inputs)
        faults = [_fault(error) for error in islice(validator.iter_errors(dict(inputs)), MAX_FAULTS)]
    if faults:
        first = faults[0]
        raise InvalidInput(
            f"The inputs of {definition.workflow_id} are not right: {first.field} {first.message}.", faults[:MAX_FAULTS]
        )


def _parts(error: ValidationError) -> tuple[Any, Any, Any, Any]:
    return error.validator, error.validator_value, error.instance, error.schema


def _fault(error: ValidationError) -> FieldError:
    """In the API's words; the value at fault is not repeated, it may be long."""
    field = ".".join(("inputs", *(str(part)[:100] for part in error.absolute_path)))
    rule, wanted, instance, schema = _parts(error)
    match rule:
        case "required":
            missing = next((name for name in wanted if name not in instance), "?")
            return FieldError(f"{field}.{missing}", "is required")
        case "type":
            return FieldError(field, f"must be of type {wanted if isinstance(wanted, str) else ' or '.join(wanted)}")
        case "enum":
            return FieldError(field, f"must be one of {', '.join(str(value) for value in wanted)[:500]}")
        case "additionalProperties":
            known = ", ".join(schema.get("properties", {}))
            return FieldError(field, f"has a field that is not known; known are {known}"[:500])
        case (
            "minLength"
            | "maxLength"
            | "minimum"
            | "maximum"
            | "minItems"
            | "maxItems"
            | "minProperties"
            | "maxProperties"
        ):
            return FieldError(field, f"breaks {rule} {wanted}")
    return FieldError(field, f"breaks the rule {rule} of the workflow's schema")
