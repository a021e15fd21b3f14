"""All agents by name. Every module in this folder that defines an agent is found."""

import importlib
import inspect
import pkgutil
from functools import cache
from typing import Any

import pixelbloom.agents
from pixelbloom.agents.base import Agent
from pixelbloom.errors import FieldError, InvalidInput


@cache
def _agents() -> dict[str, Agent[Any, Any]]:
    found: dict[str, Agent[Any, Any]] = {}
    for info in pkgutil.iter_modules(pixelbloom.agents.__path__):
        module = importlib.import_module(f"{pixelbloom.agents.__name__}.{info.name}")
        for item in vars(module).values():
            own = inspect.isclass(item) and item.__module__ == module.__name__
            if own and issubclass(item, Agent) and not inspect.isabstract(item):
                agent = item()
                if agent.agent_type in found:
                    raise RuntimeError(f"two agents are called {agent.agent_type}")
                found[agent.agent_type] = agent
    return dict(sorted(found.items()))


def all() -> tuple[Agent[Any, Any], ...]:
    """Return every agent, by name."""
    return tuple(_agents().values())


def get(agent_type: str) -> Agent[Any, Any]:
    """Return the agent with that name. Raises InvalidInput, which names the field and the known agents."""
    try:
        return _agents()[agent_type]
    except KeyError:
        known = ", ".join(_agents())
        raise InvalidInput(
            f"There is no agent of that agent_type; known are: {known}.", [FieldError("agent_type", "is not known")]
        ) from None
