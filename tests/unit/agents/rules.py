"""What an agent computes without a model."""

from typing import Any

from pixelbloom.agents import registry


def rules(agent_type: str, **input: Any) -> dict[str, Any]:
    agent = registry.get(agent_type)
    agent.validate(input)
    output: dict[str, Any] = agent.fallback(agent.input.model_validate(input)).model_dump(mode="json")
    return output
