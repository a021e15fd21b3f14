"""`/api/conversations`: chats with chat_agent."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.pagination import Rows
from pixelbloom.errors import Conflict, Forbidden, NotFound
from pixelbloom.runs.model import iso, parse_time
from pixelbloom.runs.service import Accepted, Submission, read_cursor, write_cursor
from pixelbloom.web.container import services
from pixelbloom.web.conversations import schemas as shown_examples
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
from pixelbloom.web.http.caller import authenticate_or_visitor, listed_owner, may_see, principal, scoped
from pixelbloom.web.http.openapi import IF_MATCH, SECURITY, SUBMISSION, failures, headers, nothing, success
from pixelbloom.web.http.preferences import wait_seconds
from pixelbloom.web.http.schemas import SubmissionTerms, text_or_none, uuid_or_none, with_total
from pixelbloom.web.http.versions import changed, versioned
from pixelbloom.web.runs.submission import applied, submitted, terms

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

_NO_SUCH = "There is no such conversation, or it is not yours."
#: Messages that come with a conversation.
NEWEST = 50


@conversations.post(
    "",
    summary="Create a conversation",
    operation_id="createConversation",
    responses={
        **success(ConversationBody, shown_examples.CONVERSATION, status=201, headers=("ETag",)),
        **failures(400, 401, 403, 404, 413, 429, 500, 503),
    },
)
def add_conversation(body: ConversationRequest) -> Response:
    """Stores a conversation. Visitors may, within VISITOR_MESSAGE_LIMIT."""
    caller = principal()
    row = {
        "user_id": text_or_none(services().access.new_owner(principal(), body.user_id)),
        "visitor_id": text_or_none(caller.visitor_id),
        "lead_id": text_or_none(body.lead_id),
        "title": body.title,
        "metadata": body.metadata,
    }
    if body.lead_id is not None:
        _check_lead(body.lead_id, row)
    response = _rendered(services().conversations.add(row))
    response.status_code = 201
    return response


@conversations.get(
    "",
    summary="List conversations",
    operation_id="listConversations",
    responses={
        **success(ConversationsPage, {"items": [shown_examples.CONVERSATION], "next_cursor": None}),
        **failures(400, 401, 403, 429, 500, 503),
    },
)
def list_conversations(query: ConversationsQuery) -> dict[str, Any]:
    """Returns your own conversations, newest first. Services and administrators get everybody's, or those of
    `user_id`.
    """
    wanted = {"user_id": listed_owner(query.user_id), "status": query.status, "lead_id": query.lead_id}
    rows = services().conversations.page(
        limit=query.limit,
        filters={name: str(value) for name, value in wanted.items() if value is not None},
        between=(iso(query.created_after), iso(query.created_before)),
        words=query.q,
        before=read_cursor(query.cursor) if query.cursor else None,
        total=query.count == "exact",
    )
    return with_total({"items": [_shown(row) for row in rows.items], "next_cursor": _next(rows)}, rows.total)


@conversations.get(
    "/<conversation_id>",
    summary="Get a conversation",
    operation_id="getConversation",
    responses={
        **success(ConversationWithMessages, shown_examples.WITH_MESSAGES, headers=("ETag",)),
        **failures(401, 403, 404, 500, 503),
    },
)
def get_conversation(path: ConversationPath) -> Response:
    """Returns the conversation with its newest messages: 50, or fewer if these are larger than 4 MiB."""
    row = _visible_conversation(path.conversation_id)
    found = services().conversations.messages(UUID(row["id"]), limit=NEWEST, after=None, before=None)
    shown = {
        **_shown(row),
        "messages": [_message(message) for message in reversed(found.items)],
        "messages_cursor": _next(found),
    }
    return versioned(shown, row["version"])


@conversations.patch(
    "/<conversation_id>",
    summary="Update a conversation",
    operation_id="updateConversation",
    responses={
        **success(ConversationBody, shown_examples.CONVERSATION, headers=("ETag",)),
        **failures(400, 401, 403, 404, 409, 413, 500, 503),
    },
    openapi_extensions=headers(IF_MATCH),
)
def change_conversation(path: ConversationPath, body: ConversationChanges) -> Response:
    """Changes the given fields. A closed conversation accepts no messages until it is active again."""
    row = _visible_conversation(path.conversation_id)
    return _rendered(changed(row, body.model_dump(mode="json", exclude_unset=True), services().conversations.change))


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
    responses={
        **success(MessagePage, {"items": [shown_examples.REPLY, shown_examples.QUESTION], "next_cursor": None}),
        **failures(400, 401, 403, 404, 500, 503),
    },
)
def list_messages(path: ConversationPath, query: MessagesQuery) -> dict[str, Any]:
    """Returns the messages of a conversation, newest first."""
    row = _visible_conversation(path.conversation_id)
    rows = services().conversations.messages(
        UUID(row["id"]),
        limit=query.limit,
        after=iso(query.created_after),
        before=read_cursor(query.cursor) if query.cursor else None,
    )
    return {"items": [_message(row) for row in rows.items], "next_cursor": _next(rows)}


@conversations.post(
    "/<conversation_id>/messages",
    summary="Send a message",
    operation_id="sendMessage",
    responses={
        **success(
            SentMessage,
            shown_examples.SENT,
            status=201,
            description="Message stored, run accepted.",
            headers=("Preference-Applied",),
        ),
        **failures(400, 401, 403, 404, 409, 413, 429, 500, 503),
    },
    openapi_extensions=headers(*SUBMISSION),
)
def add_message(path: ConversationPath, body: MessageRequest) -> Response:
    """Stores the message and creates a run of chat_agent, which reads the conversation; its reply becomes a message.

    `Prefer: wait=N` delays the response until the reply is ready or N seconds pass. With an `Idempotency-Key` the same
    message is stored once. Visitors may, within VISITOR_MESSAGE_LIMIT.
    """
    caller, row = principal(), _visible_conversation(path.conversation_id)
    user_id = UUID(row["user_id"]) if row["user_id"] else None
    if caller.kind != "visitor" and not caller.may_act_for(user_id):
        raise Forbidden("Only the conversation's owner or a service may send messages.")
    if row["status"] == "closed":
        raise Conflict("The conversation is closed; set its status to active first.")
    wanted = Submission(
        agent_type="chat_agent",
        input={"conversation_id": row["id"], "message": body.content},
        **{**terms(SubmissionTerms(metadata=body.metadata)), "user_id": user_id},
    )
    seconds = wait_seconds(request.headers.get("Prefer"))
    accepted, waited = submitted(
        lambda run_id: services().runs.submit(wanted, run_id), seconds, agent_type=wanted.agent_type
    )
    response: Response = jsonify(_sent_message(row["id"], accepted, waited=waited))
    response.status_code = 201
    return applied(response, seconds, waited=waited)


def _sent_message(conversation_id: str, accepted: Accepted, *, waited: bool) -> dict[str, Any]:
    reply = services().conversations.reply(accepted.id) if waited and accepted.status == "completed" else None
    return {
        "conversation_id": conversation_id,
        # The database stores a question under the id of its run.
        "id": str(accepted.id),
        "message_id": str(accepted.id),
        "request_id": str(accepted.id),
        "status": str(accepted.status),
        "reply": _message(reply) if reply else None,
        "error": accepted.error,
    }


def _visible_conversation(text: str) -> dict[str, Any]:
    """Return the conversation if the caller may see it. Raises NotFound."""
    conversation_id = uuid_or_none(text)
    row = services().conversations.find(conversation_id) if conversation_id else None
    if row is None or not may_see(row["user_id"], row["visitor_id"]):
        raise NotFound(_NO_SUCH)
    return row


def _check_lead(lead_id: UUID, row: dict[str, Any]) -> None:
    """Raise NotFound if the lead has another owner."""
    lead = services().leads.find(lead_id)
    if lead is None or any(lead[name] != row[name] for name in ("user_id", "visitor_id")):
        raise NotFound("There is no such lead of the conversation's owner; omit lead_id.")


def _next(rows: Rows) -> str | None:
    return write_cursor(rows.items[-1]) if rows.more else None


def _rendered(row: dict[str, Any]) -> Response:
    return versioned(_shown(row), row["version"])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in shown_examples.CONVERSATION if name != "conversation_id"}
    for name in ("last_message_at", "created_at", "updated_at"):
        shown[name] = iso(parse_time(row[name]))
    return {"conversation_id": row["id"], **shown}


def _message(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "message_id": row["id"],
        "conversation_id": row["conversation_id"],
        "user_id": row["user_id"],
        "role": row["role"],
        "content": row["content"],
        "request_id": row["run_id"],
        "metadata": row["metadata"],
        "created_at": iso(parse_time(row["created_at"])),
    }
