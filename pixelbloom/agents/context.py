"""What a step passes to its agent, and the agent's outcome."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pixelbloom.agents.conversation_reader import ConversationReader
from pixelbloom.agents.lead_reader import LeadReader
from pixelbloom.models.control import CallControl
from pixelbloom.models.manager import ModelManager
from pixelbloom.models.request import TokenStream


@dataclass(frozen=True)
class AgentContext:
    """Everything an agent may use besides its input."""

    run_id: UUID
    step: str
    attempt: int
    user_id: UUID | None
    models: ModelManager
    control: CallControl
    stream: TokenStream
    leads: LeadReader
    conversations: ConversationReader


@dataclass(frozen=True)
class AgentOutcome:
    """A finished step's output as plain JSON, and its provider. The fallback has no `model`."""

    output: dict[str, Any]
    provider: Literal["ollama", "huggingface", "fallback"]
    model: str | None
    prompt_tokens: int
    completion_tokens: int
