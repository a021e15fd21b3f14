"""The leads that a run may read."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pixelbloom.agents.lead_reader import LeadRecord
from pixelbloom.database.gateway import Gateway
from pixelbloom.database.rows import find, not_deleted

MAX_TERMS = 16
#: Words of a question that are not specific to a lead.
STOP_WORDS = frozenset(
    """
    a all an and any are at best by companies company find for from get give good has have hot in is lead leads list me
    most my of on or our please prospect prospects show that the their them top us we what which who with
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)
COLUMNS = "id,name,email,company,industry,budget,timeline,message,source,status,score,created_at"


class ScopedLeads:
    """The leads of one user, or all for a service without a user. A LeadReader."""

    def __init__(self, gateway: Gateway, user_id: UUID | None) -> None:
        self._gateway = gateway
        self._user_id = user_id

    def get(self, lead_id: UUID) -> LeadRecord | None:
        """Return the lead, or None if there is none in scope. Raises Unavailable."""

        def narrow(rows: Any) -> Any:
            return not_deleted(rows.eq("user_id", str(self._user_id)) if self._user_id else rows)

        row = find(self._gateway, "leads", lead_id, COLUMNS, narrow)
        return record(row) if row else None

    def search(self, text: str, limit: int) -> Sequence[LeadRecord]:
        """Return at most `limit` leads that contain any word of `text`, best first. Raises Unavailable."""
        rows = self._gateway.rpc(
            "search_leads",
            {"p_user_id": str(self._user_id) if self._user_id else None, "p_terms": terms(text), "p_limit": limit},
            columns=COLUMNS,
        )
        return tuple(record(row) for row in rows)


def terms(text: str) -> list[str]:
    """Return the words of a question to search for."""
    words = dict.fromkeys(word for word in re.findall(r"\w+", text.lower()) if word not in STOP_WORDS)
    return list(words)[:MAX_TERMS]


def record(row: dict[str, Any]) -> LeadRecord:
    """Return a lead from its row."""
    return LeadRecord(
        id=UUID(row["id"]),
        name=row["name"],
        email=row["email"],
        company=row["company"],
        industry=row["industry"],
        budget=Decimal(str(row["budget"])) if row["budget"] is not None else None,
        timeline=row["timeline"],
        message=row["message"],
        source=row["source"],
        status=row["status"],
        score=row["score"],
        created_at=datetime.fromisoformat(row["created_at"]),
    )
