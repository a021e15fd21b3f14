"""What is asked of a model, what comes back, and what is written down about it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

Role = Literal["system", "user", "assistant"]
ProviderName = Literal["ollama", "huggingface"]

#: How a call to a provider ended. `invalid` is an answer that could not be used, `truncated` prose that was cut off and
#: used as far as it goes, `refused` a provider that could not be reached at all, `cancelled` a run that was ended
#: meanwhile.
Outcome = Literal["ok", "error", "timeout", "invalid", "truncated", "refused", "cancelled"]

#: Why a model cut its answer off: it ran out of tokens, or a filter stopped it.
Cut = Literal["length", "content_filter"]


@dataclass(frozen=True)
class Message:
    """One message of a conversation with a model."""

    role: Role
    content: str


@dataclass(frozen=True)
class ModelRequest:
    """A question to a model, in no provider's words.

    `model` is the agent's default, by its name at Ollama; `schema` is the JSON Schema of the answer, None for
    prose; `temperature` None means the configured one; `max_tokens` bounds the answer.
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
    """What a provider reports of one call beside the answer's text.

    Tokens as it counted them, 0 where it did not say; why it cut the answer off, None where the answer is whole;
    whether it called a tool.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut: Cut | None = None
    tool_calls: bool = False


@dataclass(frozen=True)
class ModelReply:
    """An answer. `latency_ms` is of the call that gave it; `truncated` says that the model cut it off."""

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
    """Where an answer goes while it is written."""

    def token(self, text: str) -> None:
        """Take one more piece of the answer."""

    def restart(self, retrying_with: str | None = None) -> None:
        """Discard the pieces so far. `retrying_with` names who is asked next: a provider, or `fallback`.

        None means that the same answer goes on: what came so far was the model's reasoning.
        """


class NullStream:
    """A TokenStream for those who want only the whole answer."""

    def token(self, text: str) -> None:
        """Drop the piece."""

    def restart(self, retrying_with: str | None = None) -> None:
        """Nothing to discard."""
