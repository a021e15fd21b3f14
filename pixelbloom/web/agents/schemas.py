"""The schemas of agents in the OpenAPI document."""

from functools import cache
from typing import Any, Self

from pydantic import Field

from pixelbloom.agents.base import Agent
from pixelbloom.web.http.rendering import Body, JsonObject
from pixelbloom.web.http.schemas import Shape, example


class AgentPath(Shape):
    """An agent's address."""

    agent_type: str = Field(description="Such as lead_agent.")


class AgentBody(Body):
    """An agent, and how to call it."""

    model_config = example(
        {
            "id": "chat_agent",
            "agent_type": "chat_agent",
            "title": "Chat",
            "description": "Answers a visitor's question.",
            "capabilities": ["answer questions about services"],
            "model": "llama3.1:8b",
            "input_schema": {"type": "object", "properties": {"message": {"type": "string"}}},
            "output_schema": {"type": "object", "properties": {"reply": {"type": "string"}}},
        }
    )

    id: str
    agent_type: str
    title: str
    description: str
    capabilities: list[str]
    model: str = Field(description="The model that it uses; OLLAMA_MODEL overrides the agent's choice.")
    input_schema: JsonObject = Field(description="JSON Schema of `input`.")
    output_schema: JsonObject = Field(description="JSON Schema of `result`.")

    @classmethod
    def of(cls, agent: Agent[Any, Any], model: str | None) -> Self:
        """Return the body about an agent; `model` overrides the agent's choice."""
        return cls(
            id=agent.agent_type,
            agent_type=agent.agent_type,
            title=agent.title,
            description=agent.description,
            capabilities=list(agent.capabilities),
            model=model or agent.model,
            **_schemas(agent),
        )


class AgentList(Body):
    """All agents, by name."""

    items: list[AgentBody]
    next_cursor: None = Field(description="There is one page.")


@cache
def _schemas(agent: Agent[Any, Any]) -> dict[str, Any]:
    """Cached: generating takes more than a millisecond."""
    return {
        "input_schema": agent.input.model_json_schema(),
        "output_schema": agent.output.model_json_schema(mode="serialization"),
    }
