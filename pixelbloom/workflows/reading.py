"""Parses a definition and reports every error with its path."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError

from pixelbloom.core.text import unstorable
from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.workflows.checks import find_errors
from pixelbloom.workflows.definition import MAX_ERRORS, MAX_STEPS, Definition, Step, read_step

#: Every pattern in a definition is that of a name.
NAME = "must be a name of lower-case letters, digits and underscores that starts with a letter"


def read_definition(body: Mapping[str, Any]) -> Definition:
    """Parse and check a definition from JSON. Raises InvalidInput with a FieldError for each error."""
    given = dict(body)
    errors = list(islice(unstorable(given), MAX_ERRORS))
    if errors:
        raise _refusal(errors)
    steps = given.pop("steps", None)
    read: list[Step] = []
    if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
        errors.append(FieldError("steps", f"must be a list of 1 to {MAX_STEPS} steps"))
    else:
        for place, step in enumerate(steps):
            try:
                read.append(read_step(step))
            except ValidationError as error:
                errors += _field_errors(error, f"steps.{place}")
            except ValueError as error:
                errors.append(FieldError(f"steps.{place}", str(error)))
    definition: Definition | None = None
    try:
        definition = Definition.model_validate({**given, "steps": tuple(read)})
    except ValidationError as error:
        errors += _field_errors(error)
    if not errors and definition is not None:
        errors = list(find_errors(definition))
        if not errors:
            return definition
    raise _refusal(errors)


def _refusal(errors: list[FieldError]) -> InvalidInput:
    return InvalidInput.of(errors[:MAX_ERRORS], "The workflow is invalid: ")


def _field_errors(error: ValidationError, where: str = "") -> list[FieldError]:
    return [
        FieldError(
            ".".join(filter(None, (where, *(str(part)[:100] for part in item["loc"])))) or "body",
            NAME if item["type"] == "string_pattern_mismatch" else sentence(item),
        )
        for item in error.errors(include_url=False, include_input=False)[:MAX_ERRORS]
    ]
