"""Stored conversations, as an agent may read them. The store implements the reader."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol
from uuid import UUID


class Turn(NamedTuple):
    """What one side said."""

    role: Literal["user", "assistant"]
    content: str


class ConversationReader(Protocol):
    """Conversations within the reach of the run's user, and no others."""

    def history(self, conversation_id: UUID, run_id: UUID, step: str) -> Sequence[Turn] | None:
        """What was said before this step of the run asked, oldest first; None where there is none within reach."""


class NoConversations:
    """A ConversationReader over an empty table."""

    def history(
        self,
        conversation_id: UUID,  # noqa: ARG002  (the protocol's signature)
        run_id: UUID,  # noqa: ARG002
        step: str,  # noqa: ARG002
    ) -> Sequence[Turn] | None:
        """There is none."""
        return None
