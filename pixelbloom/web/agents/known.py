"""Looking up the names in requests."""

from pixelbloom.agents import registry
from pixelbloom.errors import FieldError, InvalidInput


def known_agent(agent_type: str) -> str:
    """Return the agent's name if it exists. Raises InvalidInput, which names the field."""
    try:
        return registry.get(agent_type).agent_type
    except InvalidInput as error:
        raise InvalidInput(error.message, [FieldError("agent_type", "is not known")]) from error
