"""Reading a definition: every fault is told by its place."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError

from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.workflows.checks import faults_of
from pixelbloom.workflows.definition import MAX_FAULTS, MAX_STEPS, Definition, Step, read_step
from pixelbloom.workflows.storable import unstorable

#: Every pattern in a definition is one of a name.
NAME = "must be a name in small letters, digits and underscores, beginning with a letter"


def read_definition(body: Mapping[str, Any]) -> Definition:
    """A definition from JSON, fully checked. Raises InvalidInput with a FieldError for each fault, by its place."""
    given = dict(body)
    faults = list(islice(unstorable(given), MAX_FAULTS))
    if faults:
        raise _refusal(faults)
    steps = given.pop("steps", None)
    read: list[Step] = []
    if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
        faults.append(FieldError("steps", f"must be a list of 1 to {MAX_STEPS} steps"))
    else:
        for place, step in enumerate(steps):
            try:
                read.append(read_step(step))
            except ValidationError as error:
                faults += _told(error, f"steps.{place}")
            except ValueError as error:
                faults.append(FieldError(f"steps.{place}", str(error)))
    definition: Definition | None = None
    try:
        definition = Definition.model_validate({**given, "steps": tuple(read)})
    except ValidationError as error:
        faults += _told(error)
    if not faults and definition is not None:
        faults = list(faults_of(definition))
        if not faults:
            return definition
    raise _refusal(faults)


def _refusal(faults: list[FieldError]) -> InvalidInput:
    first = faults[0]
    return InvalidInput(f"The workflow is not right: {first.field} {first.message}.", faults[:MAX_FAULTS])


def _told(error: ValidationError, where: str = "") -> list[FieldError]:
    return [
        FieldError(
            ".".join(filter(None, (where, *(str(part)[:100] for part in fault["loc"])))) or "body",
            NAME if fault["type"] == "string_pattern_mismatch" else sentence(fault),
        )
        for fault in error.errors(include_url=False, include_input=False)[:MAX_FAULTS]
    ]
