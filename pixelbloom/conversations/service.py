"""The rules of conversations: their lead, and who may send messages."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pixelbloom.auth.access import Access
from pixelbloom.auth.principal import Principal
from pixelbloom.conversations.store import ConversationStore
from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import Conflict, Forbidden, NotFound


class ConversationService(ConversationStore):
    """The conversations of the API. Methods may raise Unavailable or RejectedData. `find_lead` returns a lead's row."""

    def __init__(self, gateway: Gateway, access: Access, find_lead: Callable[[UUID], Mapping[str, Any] | None]) -> None:
        super().__init__(gateway)
        self._access = access
        self._find_lead = find_lead

    def create(self, caller: Principal, user_id: UUID | None, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Store a conversation of the user, else of the caller, and return it.

        Raises Forbidden, and NotFound if its lead has another owner.
        """
        owner = self._access.owner_columns(caller, user_id)
        if fields["lead_id"] is not None:
            lead = self._find_lead(UUID(fields["lead_id"]))
            if lead is None or any(lead[name] != value for name, value in owner.items()):
                raise NotFound("There is no such lead of the conversation's owner; omit lead_id.")
        return self.add({**fields, **owner})


def user_of_message(caller: Principal, conversation: Mapping[str, Any]) -> UUID | None:
    """Return the user for whom the caller may send a message. Raises Forbidden, and Conflict if it is closed."""
    user_id = UUID(conversation["user_id"]) if conversation["user_id"] else None
    if caller.kind != "visitor" and not caller.may_act_for(user_id):
        raise Forbidden("Only the conversation's owner or a service may send messages.")
    if conversation["status"] == "closed":
        raise Conflict("The conversation is closed; set its status to active first.")
    return user_id
