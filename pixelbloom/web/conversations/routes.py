"""`/api/conversations`: chats with chat_agent."""

from typing import Any
from uuid import UUID

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.conversations.service import user_of_message
from pixelbloom.core.time_zones import iso
from pixelbloom.runs.service import Submission
from pixelbloom.web.container import services
from pixelbloom.web.conversations.schemas import (
    ConversationBody,
    ConversationChanges,
    ConversationPath,
    ConversationRequest,
    ConversationsPage,
    ConversationsQuery,
    ConversationWithMessages,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    SentMessage,
)
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import authenticate_or_visitor, listed_owner, principal, scoped, visible
from pixelbloom.web.http.openapi import IF_MATCH, SECURITY, SUBMISSION, failures, headers, nothing, success
from pixelbloom.web.http.rendering import Responded
from pixelbloom.web.http.schemas import SubmissionTerms
from pixelbloom.web.http.versions import changed
from pixelbloom.web.runs.submission import respond, submitted_agent, terms

conversations = APIBlueprint(
    "conversations",
    __name__,
    url_prefix="/api/conversations",
    abp_tags=[Tag(name="Conversations", description="Chats with chat_agent.")],
    abp_security=SECURITY,
)
conversations.before_request(
    scoped(
        "conversations",
        authenticate_or_visitor("add_conversation", "get_conversation", "add_message", "list_messages"),
    )
)
conversations.before_request(counting.count_first(counting.message, "add_conversation", "add_message"))
conversations.before_request(counting.count_first(counting.submission, "add_message"))
counting.limit_searches(conversations, "q")

#: Messages that come with a conversation.
NEWEST = 50


@conversations.post(
    "",
    summary="Create a conversation",
    operation_id="createConversation",
    responses={
        **success(ConversationBody, status=201, headers=("ETag",)),
        **failures(400, 401, 403, 404, 413, 429, 500, 503),
    },
)
def add_conversation(body: ConversationRequest) -> Responded:
    """Stores a conversation. Visitors may, within VISITOR_MESSAGE_LIMIT."""
    fields = body.model_dump(mode="json", exclude={"user_id"})
    row = services().conversations.create(principal(), body.user_id, fields)
    return ConversationBody.model_validate(row).respond(201)


@conversations.get(
    "",
    summary="List conversations",
    operation_id="listConversations",
    responses={**success(ConversationsPage), **failures(400, 401, 403, 429, 500, 503)},
)
def list_conversations(query: ConversationsQuery) -> ConversationsPage:
    """Returns your own conversations, newest first. Services and administrators get everybody's, or those of
    `user_id`.
    """
    wanted = {"user_id": listed_owner(query.user_id), "status": query.status, "lead_id": query.lead_id}
    rows = services().conversations.page(
        limit=query.limit,
        filters={name: str(value) for name, value in wanted.items() if value is not None},
        between=query.between,
        words=query.q,
        before=query.before,
        total=query.count == "exact",
    )
    return ConversationsPage.of(rows)


@conversations.get(
    "/<conversation_id>",
    summary="Get a conversation",
    operation_id="getConversation",
    responses={**success(ConversationWithMessages, headers=("ETag",)), **failures(401, 403, 404, 500, 503)},
)
def get_conversation(path: ConversationPath) -> Responded:
    """Returns the conversation with its newest messages: 50, or fewer if these are larger than 4 MiB."""
    row = _visible_conversation(path.conversation_id)
    found = services().conversations.messages(UUID(row["id"]), limit=NEWEST, after=None, before=None)
    page = MessagePage.of(found)
    shown = {**row, "messages": page.items[::-1], "messages_cursor": page.next_cursor}
    return ConversationWithMessages.model_validate(shown).respond()


@conversations.patch(
    "/<conversation_id>",
    summary="Update a conversation",
    operation_id="updateConversation",
    responses={
        **success(ConversationBody, headers=("ETag",)),
        **failures(400, 401, 403, 404, 409, 413, 500, 503),
    },
    openapi_extensions=headers(IF_MATCH),
)
def change_conversation(path: ConversationPath, body: ConversationChanges) -> Responded:
    """Changes the given fields. A closed conversation accepts no messages until it is active again."""
    row = _visible_conversation(path.conversation_id)
    row = changed(row, body.model_dump(mode="json", exclude_unset=True), services().conversations.change)
    return ConversationBody.model_validate(row).respond()


@conversations.delete(
    "/<conversation_id>",
    summary="Delete a conversation",
    operation_id="deleteConversation",
    responses={**nothing("Conversation and messages deleted."), **failures(401, 403, 404, 409, 500, 503)},
    openapi_extensions=headers(IF_MATCH),
)
def remove_conversation(path: ConversationPath) -> tuple[str, int]:
    """Deletes the conversation and its messages, and publishes `conversation_deleted`."""
    changed(_visible_conversation(path.conversation_id), {"deleted_at": "now"}, services().conversations.change)
    return "", 204


@conversations.get(
    "/<conversation_id>/messages",
    summary="List messages",
    operation_id="listMessages",
    responses={**success(MessagePage), **failures(400, 401, 403, 404, 500, 503)},
)
def list_messages(path: ConversationPath, query: MessagesQuery) -> MessagePage:
    """Returns the messages of a conversation, newest first."""
    row = _visible_conversation(path.conversation_id)
    rows = services().conversations.messages(
        UUID(row["id"]),
        limit=query.limit,
        after=iso(query.created_after),
        before=query.before,
    )
    return MessagePage.of(rows)


@conversations.post(
    "/<conversation_id>/messages",
    summary="Send a message",
    operation_id="sendMessage",
    responses={
        **success(
            SentMessage,
            status=201,
            description="Message stored, run accepted.",
            headers=("Preference-Applied",),
        ),
        **failures(400, 401, 403, 404, 409, 413, 429, 500, 503),
    },
    openapi_extensions=headers(*SUBMISSION),
)
def add_message(path: ConversationPath, body: MessageRequest) -> Responded:
    """Stores the message and creates a run of chat_agent, which reads the conversation; its reply becomes a message.

    `Prefer: wait=N` delays the response until the reply is ready or N seconds pass. With an `Idempotency-Key` the same
    message is stored once. Visitors may, within VISITOR_MESSAGE_LIMIT.
    """
    row = _visible_conversation(path.conversation_id)
    user_id = user_of_message(principal(), row)
    wanted = Submission(
        agent_type="chat_agent",
        input={"conversation_id": row["id"], "message": body.content},
        **{**terms(SubmissionTerms(metadata=body.metadata)), "user_id": user_id},
    )
    accepted, seconds = submitted_agent(wanted)
    completed = seconds is not None and accepted.status == "completed"
    reply = services().conversations.reply(accepted.id) if completed else None
    sent = {
        "id": accepted.id,  # the database stores a question under the id of its run
        "conversation_id": row["id"],
        "status": str(accepted.status),
        "reply": reply,
        "error": accepted.error,
    }
    return respond(SentMessage.model_validate(sent), seconds, status=201)


def _visible_conversation(conversation_id: str) -> dict[str, Any]:
    """Return the conversation if the caller may see it. Raises NotFound."""
    no_such = "There is no such conversation, or it is not yours."
    return visible(conversation_id, services().conversations.find, no_such)
