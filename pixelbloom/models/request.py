"""Requests to models, their replies, and the records of calls."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

Role = Literal["system", "user", "assistant"]
ProviderName = Literal["ollama", "huggingface"]

#: The outcome of a call to a provider. `invalid`: an unusable reply; `truncated`: prose that was cut off and used as it
#: is; `refused`: an unreachable provider; `cancelled`: the run ended meanwhile.
Outcome = Literal["ok", "error", "timeout", "invalid", "truncated", "refused", "cancelled"]

#: Why a reply was cut off: the model ran out of tokens, or a filter stopped it.
Cut = Literal["length", "content_filter"]


@dataclass(frozen=True)
class Message:
    """One message of a conversation with a model."""

    role: Role
    content: str


@dataclass(frozen=True)
class ModelRequest:
    """A provider-independent request to a model.

    `model` is the agent's default, by its name at Ollama; `schema` is the JSON Schema of the reply, None for
    prose; `temperature` None means the configured one; `max_tokens` limits the reply.
    """

    agent_type: str
    messages: tuple[Message, ...]
    model: str
    schema: dict[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int = 1024
    run_id: UUID | None = None


@dataclass
class Usage:
    """What a provider reports about a call besides the reply's text.

    Token counts are 0 if not reported. `cut` is why the reply was cut off, None if it is complete.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut: Cut | None = None
    tool_calls: bool = False


@dataclass(frozen=True)
class ModelReply:
    """A reply. `latency_ms` is of its call; `truncated` means that the model cut it off."""

    text: str
    provider: ProviderName
    model: str
    prompt_tokens: int
    completion_tokens: int
    latency_ms: int
    truncated: bool = False


@dataclass(frozen=True)
class ModelCall:
    """One attempt at one provider, for the metrics table."""

    agent_type: str
    provider: ProviderName
    model: str
    outcome: Outcome
    error: str | None
    latency_ms: int
    prompt_tokens: int
    completion_tokens: int
    run_id: UUID | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class TokenStream(Protocol):
    """Receives a reply while it is generated."""

    def token(self, text: str) -> None:
        """Add a piece of the reply."""

    def restart(self, retrying_with: str | None = None) -> None:
        """Discard the pieces so far. `retrying_with` names the next source: a provider, or `fallback`.

        None means that the same reply continues: the pieces so far were the model's reasoning.
        """


class NullStream:
    """A TokenStream that discards everything, for callers that need only the complete reply."""

    def token(self, text: str) -> None:
        """Ignore the piece."""

    def restart(self, retrying_with: str | None = None) -> None:
        """Nothing to discard."""
