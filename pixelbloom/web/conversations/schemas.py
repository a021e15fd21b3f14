"""The schemas of requests and responses about conversations in the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pixelbloom.agents.chat import MAX_SAID
from pixelbloom.agents.knowledge.described import VISIBLE_TEXT
from pixelbloom.core.statuses import ConversationStatus, RunStatusName
from pixelbloom.database.cursors import CURSOR_PATTERN
from pixelbloom.web.http.rendering import Body, CountedPage, JsonObject, Page, Time, Uuid, Versioned, column
from pixelbloom.web.http.schemas import (
    RUN_ID,
    USER_ID,
    Changes,
    CountQuery,
    CreatedQuery,
    Metadata,
    Moment,
    OwnedQuery,
    PageQuery,
    Shape,
    UserId,
    example,
)

_ID = "3f0c8a52-94d1-4f0e-8f6e-1d2b7a9c4e11"

QUESTION: dict[str, Any] = {
    "id": RUN_ID,
    "message_id": RUN_ID,
    "conversation_id": _ID,
    "user_id": USER_ID,
    "role": "user",
    "content": "How long does a landing page take?",
    "request_id": RUN_ID,
    "metadata": {},
    "created_at": "2026-01-31T12:00:00.004000Z",
}
REPLY: dict[str, Any] = {
    **QUESTION,
    "id": "9d6e2f6c-0c55-4d0f-93fe-2c6b1f0a7d21",
    "message_id": "9d6e2f6c-0c55-4d0f-93fe-2c6b1f0a7d21",
    "role": "assistant",
    "content": "A landing page takes about two weeks.",
    "metadata": {
        "intent": "timeline",
        "services": ["web_development"],
        "suggested_questions": ["What does a landing page cost?"],
        "needs_human": False,
        "provider": "ollama",
        "model": "llama3.1:8b",
    },
    "created_at": "2026-01-31T12:00:03.480000Z",
}
CONVERSATION: dict[str, Any] = {
    "id": _ID,
    "conversation_id": _ID,
    "user_id": USER_ID,
    "visitor_id": None,
    "lead_id": None,
    "title": "A landing page",
    "status": "active",
    "metadata": {},
    "version": 1,
    "last_message_at": "2026-01-31T12:00:03.480000Z",
    "created_at": "2026-01-31T12:00:00.001000Z",
    "updated_at": "2026-01-31T12:00:00.001000Z",
}
WITH_MESSAGES: dict[str, Any] = {**CONVERSATION, "messages": [QUESTION, REPLY], "messages_cursor": None}
SENT: dict[str, Any] = {
    "conversation_id": _ID,
    "id": RUN_ID,
    "message_id": RUN_ID,
    "request_id": RUN_ID,
    "status": "completed",
    "reply": REPLY,
    "error": None,
}
SESSION: dict[str, Any] = {
    "id": "b4a1f3d2-7c0e-4a4b-9a5d-2f1e0c9b8a77",
    "session_id": "b4a1f3d2-7c0e-4a4b-9a5d-2f1e0c9b8a77",
    "token": "eyJhbGciOiJIUzI1NiJ9...",
    "expires_at": "2026-02-01T12:00:00.000000Z",
}

_STORABLE = r"^[^\x00]*$"
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=_STORABLE)] | None


class ConversationRequest(Shape):
    """A new conversation."""

    model_config = example({"title": "A landing page"}, extra="forbid")

    title: Title = None
    lead_id: UserId = Field(None, description="The lead that it is about: one of the same owner.")
    metadata: Metadata = Field(default={})
    user_id: UserId = Field(None, description="The owner; for services and administrators. Others create their own.")


class ConversationChanges(Changes):
    """The fields to change; omitted ones stay the same."""

    model_config = example({"status": "closed"}, extra="forbid")

    title: Title = None
    status: ConversationStatus = "active"
    metadata: Metadata = Field(default={})


class MessageRequest(Shape):
    """The user's message."""

    model_config = example({"content": "How long does a landing page take?"}, extra="forbid")

    content: str = Field(
        min_length=1,
        max_length=MAX_SAID,
        pattern=VISIBLE_TEXT,
        description="Text, and not only spaces.",
    )
    metadata: JsonObject = Field(default={}, description="Stored with the run.")


class MessageBody(Body):
    """A message."""

    model_config = example(REPLY)

    id: Uuid
    message_id: Uuid = column("id")
    conversation_id: Uuid
    user_id: Uuid | None = Field(description="The owner of the conversation.")
    role: Literal["user", "assistant", "system"]
    content: str
    request_id: Uuid | None = column("run_id", description="The run that the message started, or that wrote it.")
    metadata: JsonObject = Field(description="Of a reply: chat_agent's findings, provider and model.")
    created_at: Time


class MessagePage(Page[MessageBody]):
    """Messages, newest first."""

    model_config = example({"items": [REPLY, QUESTION], "next_cursor": None})

    next_cursor: str | None = Field(description="Pass it as `cursor` for earlier ones; null on the last page.")


class ConversationBody(Versioned):
    """A conversation."""

    model_config = example(CONVERSATION)

    id: Uuid
    conversation_id: Uuid = column("id")
    user_id: Uuid | None
    visitor_id: Uuid | None = Field(description="The session of the visitor who owns it; null for users.")
    lead_id: Uuid | None
    title: str | None
    status: ConversationStatus
    metadata: JsonObject
    version: int = Field(description="Grows with each change, not with messages; also the ETag.")
    last_message_at: Time | None
    created_at: Time
    updated_at: Time


class ConversationWithMessages(ConversationBody):
    """A conversation and its last messages."""

    model_config = example(WITH_MESSAGES)

    messages: list[MessageBody] = Field(
        description="The newest, oldest first: 50, or fewer if these are larger than 4 MiB."
    )
    messages_cursor: str | None = Field(description="For the messages before these; null if there are none.")


class ConversationsPage(CountedPage[ConversationBody]):
    """Conversations, newest first."""


class SentMessage(Body):
    """The stored message, and the run of chat_agent."""

    model_config = example(SENT)

    id: Uuid
    conversation_id: Uuid
    message_id: Uuid = column("id")
    request_id: Uuid = column("id", description="The run, as GET /api/agents/runs/{request_id} and the topics name it.")
    status: RunStatusName
    reply: MessageBody | None = Field(description="Only if the request waited and the run is completed.")
    error: str | None = Field(description="Why the run failed; null otherwise.")


class ConversationsQuery(OwnedQuery, CreatedQuery, CountQuery, PageQuery):
    """Which conversations to list."""

    status: ConversationStatus | None = None
    lead_id: UserId = None
    q: str | None = Field(None, min_length=1, max_length=200, pattern=_STORABLE, description="Text in the title.")


class MessagesQuery(PageQuery):
    """Which messages to list."""

    created_after: Moment | None = Field(None, description="Only those created after this time.")
    cursor: str | None = Field(None, pattern=CURSOR_PATTERN, description="From `next_cursor` or `messages_cursor`.")


class ConversationPath(Shape):
    """A conversation's address."""

    conversation_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of POST.")


class SessionBody(Body):
    """A visitor's session."""

    model_config = example(SESSION)

    id: Uuid
    session_id: Uuid = column("id")
    token: str = Field(description="Send it as `Authorization: Bearer`.")
    expires_at: Time
