"""Requests to models and the limit of their size, replies, and the records of calls.

A provider truncates a prompt that exceeds the model's window silently and at its start, where the rules are. So
`bounded` truncates it first, in the middle and visibly.
"""

from collections.abc import Sequence
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


#: Characters of all messages together: about 6,000 tokens, which with a reply of 2,048 fit CONTEXT_TOKENS.
MAX_PROMPT_CHARS = 18_000

#: The context window requested from Ollama. It is the same for all, because a change makes Ollama reload the model.
CONTEXT_TOKENS = 8192

_CUT = "\n[... cut here: too long ...]\n"


def bounded(messages: Sequence[Message], limit: int = MAX_PROMPT_CHARS) -> tuple[Message, ...]:
    """Return the messages that fit in `limit` characters: system messages first, then the newest others."""
    selected: dict[int, Message] = {}
    left = limit
    system = [i for i, message in enumerate(messages) if message.role == "system"]
    others = [i for i, message in enumerate(messages) if message.role != "system"]
    for i in (*system, *reversed(others)):
        message = messages[i]
        if len(message.content) > left:
            first = not selected or i in system or i == others[-1]
            if not first or left <= len(_CUT):
                break
            message = Message(message.role, _middle_out(message.content, left))
        selected[i] = message
        left -= len(message.content)
    return tuple(selected[i] for i in sorted(selected))


def _middle_out(text: str, limit: int) -> str:
    room = limit - len(_CUT)
    head = room * 2 // 3
    tail = room - head
    return text[:head] + _CUT + (text[-tail:] if tail else "")
