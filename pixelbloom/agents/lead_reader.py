"""The interface through which agents read stored leads. The store implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class LeadRecord:
    """The columns of `leads` needed to qualify a lead. `budget` is in major units."""

    id: UUID
    name: str
    email: str | None
    company: str | None
    industry: str | None
    budget: Decimal | None
    timeline: str | None
    message: str | None
    source: str | None
    status: str
    score: int | None
    created_at: datetime


class LeadReader(Protocol):
    """Reads only leads that the run's user may see."""

    def get(self, lead_id: UUID) -> LeadRecord | None:
        """Return the lead, or None if there is no visible one."""

    def search(self, text: str, limit: int) -> Sequence[LeadRecord]:
        """Return at most `limit` leads that contain any word of `text`; for an empty text, the best scored ones."""
