"""The interface through which agents read stored conversations. The store implements it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol
from uuid import UUID


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str


class ConversationReader(Protocol):
    """Reads only conversations that the run's user may see."""

    def history(self, conversation_id: UUID, run_id: UUID, step: str) -> Sequence[Turn] | None:
        """Return the messages before this step of the run, oldest first; None if there is no visible conversation."""
