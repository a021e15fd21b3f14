"""Steps as a worker claims them."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from pixelbloom.runs.leases import Claim
from pixelbloom.workflows.definition import Step
from pixelbloom.workflows.expressions import uses


def claim(step: Step, inputs: Any, steps: Mapping[str, Any]) -> Claim:
    """The step with the outcomes of those that it uses, as the database hands them over."""
    return Claim(
        run_id=uuid4(),
        key=step.key,
        token=1,
        attempt=1,
        kind=step.kind,
        agent_type=getattr(step, "agent", None),
        input={},
        spec=step.model_dump(mode="json", exclude_none=True),
        context={"inputs": inputs, "steps": {key: steps[key] for key in uses(step)}},
        timeout_seconds=1,
        user_id=None,
        correlation_id=None,
        progress=0,
        share=1,
        update={},
    )
