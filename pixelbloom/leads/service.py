"""The rules of leads: what visitors may set, and who owns a lead and its analysis."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pixelbloom.auth.access import Access
from pixelbloom.auth.principal import Principal
from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import Forbidden
from pixelbloom.leads.store import LeadRows
from pixelbloom.runs.service import Submission


class LeadService(LeadRows):
    """The leads of the API. Every method may raise Unavailable or RejectedData."""

    def __init__(self, gateway: Gateway, access: Access) -> None:
        super().__init__(gateway)
        self._access = access

    def create(self, caller: Principal, user_id: UUID | None, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Store a lead of the user, else of the caller, and return it. Raises Forbidden."""
        if caller.kind == "visitor" and (fields["notes"] is not None or fields["assigned_to"] is not None):
            raise Forbidden("A visitor may not set notes or assigned_to; omit them.")
        return self.add({**fields, **self._access.owner_columns(caller, user_id)})


def analysis(lead: Mapping[str, Any], terms: Mapping[str, Any]) -> Submission:
    """Return the run that analyzes a lead, for its owner whoever the caller is: it can read the owner's leads."""
    owner = UUID(lead["user_id"]) if lead["user_id"] else None
    return Submission(agent_type="lead_agent", input={"lead_id": lead["id"]}, **{**terms, "user_id": owner})
