"""Stored leads, as an agent may read them. The store implements the reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class LeadRecord:
    """A row of `leads`, so far as qualifying one needs it. `budget` is in major units."""

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
    """Leads within the reach of the run's user, and no others."""

    def get(self, lead_id: UUID) -> LeadRecord | None:
        """The lead, or None where there is none within reach."""

    def search(self, text: str, limit: int) -> Sequence[LeadRecord]:
        """At most `limit` leads that contain any word of `text`; the best known ones where it is empty."""


class NoLeads:
    """A LeadReader over an empty table."""

    def get(self, lead_id: UUID) -> LeadRecord | None:  # noqa: ARG002  (the protocol's signature)
        """There is none."""
        return None

    def search(self, text: str, limit: int) -> Sequence[LeadRecord]:  # noqa: ARG002  (the same)
        """There are none."""
        return ()
