"""Storage of conversations and their messages."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from supabase import Client

from pixelbloom.agents.conversation_reader import Turn
from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Filtered, Rows, Slices, matching, newest_first, position, text_filter
from pixelbloom.database.rows import change, find, insert, not_deleted

COLUMNS = "id,user_id,visitor_id,lead_id,title,status,metadata,version,last_message_at,created_at,updated_at"
MESSAGE_COLUMNS = "id,conversation_id,user_id,role,content,run_id,metadata,created_at"
#: Maximum number of messages of a history: more than chat_agent shows to a model.
MAX_HISTORY = 50


class ScopedConversations:
    """The conversations of one user, or all for a run without a user. A ConversationReader."""

    def __init__(self, gateway: Gateway, user_id: UUID | None) -> None:
        self._gateway = gateway
        self._user_id = user_id

    def history(self, conversation_id: UUID, run_id: UUID, step: str) -> Sequence[Turn] | None:
        """Return the messages before this step's; None if there is no conversation in scope. Raises Unavailable."""
        rows = self._gateway.rpc(
            "conversation_history",
            {
                "p_conversation_id": str(conversation_id),
                "p_user_id": str(self._user_id) if self._user_id else None,
                "p_run_id": str(run_id),
                "p_step": step,
                "p_limit": MAX_HISTORY,
            },
        )
        return None if rows is None else [Turn(row["role"], row["content"]) for row in rows]


class ConversationStore:
    """The tables `conversations`, without deleted rows, and `messages`. May raise Unavailable or RejectedData."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def add(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored row."""
        return insert(self._gateway, "conversations", row)

    def find(self, conversation_id: UUID) -> dict[str, Any] | None:
        return find(self._gateway, "conversations", conversation_id, COLUMNS, not_deleted)

    def page(
        self,
        *,
        limit: int,
        filters: Mapping[str, str],
        between: tuple[str | None, str | None],
        words: str | None,
        before: tuple[str, str] | None,
        total: bool = False,
    ) -> Rows:
        """Return a page, newest first. `filters` are columns and values; `words` is text in the title.

        With `total`, count all matching rows too.
        """
        search = text_filter(self._gateway, "title", words)

        def narrow(rows: Any) -> Any:
            return search(matching(not_deleted(rows), filters, between))

        return Filtered(self._gateway, "conversations", narrow).page(COLUMNS, limit, before, total=total)

    def change(self, conversation_id: UUID, version: int, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the changed row; None if no row has that version."""
        return change(self._gateway, "conversations", conversation_id, version, changes, not_deleted)

    def messages(self, conversation_id: UUID, *, limit: int, after: str | None, before: tuple[str, str] | None) -> Rows:
        """Return a page of messages created after `after`, newest first."""

        def query(client: Client, count: int, last: tuple[str, str] | None) -> Any:
            rows = client.table("messages").select(MESSAGE_COLUMNS).eq("conversation_id", str(conversation_id))
            if after is not None:
                rows = rows.gt("created_at", after)
            return newest_first(rows, count, last)

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="messages.page")

        return Slices(read, position).page(limit, before)

    def reply(self, run_id: UUID) -> dict[str, Any] | None:
        """Return the reply of a run, if there is one."""
        rows = self._gateway.select(
            lambda client: (
                client.table("messages")
                .select(MESSAGE_COLUMNS)
                .eq("run_id", str(run_id))
                .eq("role", "assistant")
                .not_.is_("step", "null")
                .limit(1)
            ),
            name="messages.reply",
        )
        return rows[0] if rows else None
