"""Storage of conversations and their messages."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from supabase import Client

from pixelbloom.agents.conversation_reader import Turn
from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Filtered, Rows, Slices, containing, newest_first, position, search_grams

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
        response: Any = self._gateway.send(
            lambda client: client.table("conversations").insert(dict(row)).execute(), name="conversations.add"
        )
        added: dict[str, Any] = response.data[0]
        return added

    def find(self, conversation_id: UUID) -> dict[str, Any] | None:
        rows = self._gateway.select(
            lambda client: (
                client.table("conversations").select(COLUMNS).eq("id", str(conversation_id)).is_("deleted_at", "null")
            ),
            name="conversations.find",
        )
        return rows[0] if rows else None

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
        after, until = between
        grams = search_grams(self._gateway, words) if words is not None else ""

        def narrow(rows: Any) -> Any:
            rows = rows.is_("deleted_at", "null")
            for column, value in filters.items():
                rows = rows.eq(column, value)
            if after is not None:
                rows = rows.gte("created_at", after)
            if until is not None:
                rows = rows.lt("created_at", until)
            if words is not None:
                rows = rows.filter("title", "ilike", containing(words)).filter("search_grams", "cs", grams)
            return rows

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(
                lambda client: newest_first(narrow(client.table("conversations").select(COLUMNS)), count, last),
                name="conversations.page",
            )

        page = Slices(read, position).page(limit, before)
        return Filtered(self._gateway, "conversations", narrow).counted(page, wanted=total)

    def change(self, conversation_id: UUID, version: int, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the changed row; None if no row has that version."""
        response: Any = self._gateway.send(
            lambda client: (
                client.table("conversations")
                .update(dict(changes))
                .eq("id", str(conversation_id))
                .eq("version", version)
                .is_("deleted_at", "null")
                .execute()
            ),
            name="conversations.change",
        )
        rows: list[dict[str, Any]] = response.data
        return rows[0] if rows else None

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
