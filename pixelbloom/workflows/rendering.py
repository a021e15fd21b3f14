"""Renders the condition and the input of a claimed step."""

from typing import Any

from pixelbloom.errors import StepRejected
from pixelbloom.runs.leases import Claim, Ending, Rendered
from pixelbloom.workflows.definition import MAX_ITEMS, ApprovalStep, MapStep, read_step
from pixelbloom.workflows.expressions import holds
from pixelbloom.workflows.expressions import render as rendered

MAX_MESSAGE = 4000


def render(claim: Claim) -> Rendered | Ending:
    """Return the input of a workflow step's agent, or how the step ends without one: skipped, waiting or expanded.

    Raises StepRejected if an expression cannot be evaluated or returns an unexpected type.
    """
    assert claim.spec is not None
    step = read_step(dict(claim.spec))
    context = _context(claim)
    if step.when is not None and not holds(rendered(step.when, context, f"{step.key}.when")):
        return claim.skipped()
    if isinstance(step, ApprovalStep):
        message = rendered(step.message, context, f"{step.key}.message")
        return claim.waiting(message[:MAX_MESSAGE] if isinstance(message, str) else "", step.approvers)
    if isinstance(step, MapStep):
        items = rendered(step.over, context, f"{step.key}.over")
        if not isinstance(items, list) or len(items) > MAX_ITEMS:
            raise StepRejected(f"{step.key}.over did not return a list of at most {MAX_ITEMS} items.")
        return claim.expanded(
            [
                _object(step.input, {**context, "item": item, "index": index}, f"{step.key}.input")
                for index, item in enumerate(items)
            ]
        )
    return Rendered(_object(step.input, context, f"{step.key}.input"))


def _context(claim: Claim) -> dict[str, Any]:
    assert claim.context is not None
    steps = claim.context["steps"]
    return {
        "inputs": claim.context["inputs"],
        "steps": steps,
        "outputs": {key: step["output"] for key, step in steps.items()},
    }


def _object(template: Any, context: dict[str, Any], where: str) -> dict[str, Any]:
    """Render an agent's input. A field whose expression returned null is omitted."""
    value = rendered(template, context, where)
    if not isinstance(value, dict):
        raise StepRejected(f"{where} did not return an object.")
    return {key: part for key, part in value.items() if part is not None}
