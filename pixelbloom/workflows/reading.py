"""Parses and checks a definition, and reports every error with its path."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError

from pixelbloom.agents import registry
from pixelbloom.core.text import unstorable
from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.workflows.definition import MAX_ERRORS, MAX_STEPS, ApprovalStep, Definition, MapStep, Step, read_step
from pixelbloom.workflows.expressions import ExpressionError, expressions, names
from pixelbloom.workflows.graph import before, cycle
from pixelbloom.workflows.inputs import schema_errors

#: Every pattern in a definition is that of a name.
NAME = "must be a name of lower-case letters, digits and underscores that starts with a letter"
#: What an expression may read; those of a map its items, too.
ROOTS = frozenset({"inputs", "outputs", "steps"})
ITEM_ROOTS = frozenset({"item", "index"})


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


def find_errors(definition: Definition) -> Iterator[FieldError]:
    """Yield every error of a structurally valid definition."""
    if definition.inputs is not None:
        yield from schema_errors(definition.inputs)
    graph_errors = list(_graph(definition))
    yield from graph_errors
    reachable = {} if graph_errors else before(definition.steps)
    for place, step in enumerate(definition.steps):
        where = f"steps.{place}"
        yield from _agent(step, where)
        for field, expression in expressions(step):
            known = ROOTS | ITEM_ROOTS if isinstance(step, MapStep) and field.startswith("input") else ROOTS
            for message in _expression(expression, known, step, definition, reachable):
                yield FieldError(f"{where}.{field}", message)


def _graph(definition: Definition) -> Iterator[FieldError]:
    keys = [step.key for step in definition.steps]
    for place, step in enumerate(definition.steps):
        if step.key in keys[:place]:
            yield FieldError(f"steps.{place}.key", f"is also the key of another step: {step.key}")
        for index, need in enumerate(step.needs):
            if need not in keys:
                yield FieldError(f"steps.{place}.needs.{index}", f"names no step: {need}")
            elif need in step.needs[:index]:
                yield FieldError(f"steps.{place}.needs.{index}", f"names {need} twice")
    found = cycle({step.key: step.needs for step in definition.steps})
    if found is not None:
        place = keys.index(found[0])
        yield FieldError(f"steps.{place}.needs", f"makes a cycle: {' needs '.join(found)}")


def _agent(step: Step, where: str) -> Iterator[FieldError]:
    if isinstance(step, ApprovalStep):
        return
    try:
        agent = registry.get(step.agent)
    except InvalidInput:
        known = ", ".join(agent.agent_type for agent in registry.all())
        yield FieldError(f"{where}.agent", f"is not an agent; known are {known}")
        return
    if isinstance(step.input, dict):
        fields = agent.input.model_fields
        for name in step.input:
            if name not in fields:
                yield FieldError(
                    f"{where}.input.{name[:100]}", f"is not a field of {step.agent}; it takes {', '.join(fields)}"
                )
        for name, field in fields.items():
            if field.is_required() and name not in step.input:
                yield FieldError(f"{where}.input", f"lacks {name}, which {step.agent} requires")


def _expression(
    expression: str, known: frozenset[str], step: Step, definition: Definition, reachable: dict[str, frozenset[str]]
) -> Iterator[str]:
    try:
        read = names(expression)
    except ExpressionError as error:
        yield str(error)
        return
    keys = {other.key for other in definition.steps}
    for name, under in sorted(read, key=str):
        if name == "@":
            yield f"reads @, the whole context; start with one of {', '.join(sorted(known))}"
        elif name not in known:
            yield f"reads {name[:64]}, which is unknown; known are {', '.join(sorted(known))}"
        elif name in ("outputs", "steps"):
            if under is None:
                one = step.needs[0] if step.needs else "qualify"
                yield f"reads {name} as a whole; name the step, as in {name}.{one}"
            elif under not in keys:
                yield f"reads {name}.{under[:64]}, but there is no such step"
            elif under == step.key:
                yield f"reads {name}.{under}, the outcome of this step itself, which is unknown before it ends"
            elif reachable and step.key in reachable[under]:
                yield f"reads {name}.{under}, which starts after this step; take {step.key} out of the needs before it"
            elif reachable and under not in reachable[step.key]:
                yield f"reads {name}.{under}, which does not end before this step; add {under} to its needs"
