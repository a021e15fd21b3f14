"""The nine agents, and marks to test each of them."""

from typing import Any

import pytest
from hypothesis import settings

from pixelbloom.agents import registry
from pixelbloom.agents.base import Agent, StructuredAgent

AGENTS = registry.all()
#: Examples for each agent.
HALF = settings.default.max_examples // 2
each_agent = pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.agent_type)
each_structured = pytest.mark.parametrize(
    "agent", [a for a in AGENTS if isinstance(a, StructuredAgent)], ids=lambda agent: agent.agent_type
)


def fallback(agent: Agent[Any, Any], input: dict[str, Any]) -> dict[str, Any]:
    return agent.fallback(agent.input.model_validate(input)).model_dump(mode="json")
