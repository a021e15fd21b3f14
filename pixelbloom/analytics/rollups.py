"""The roll-ups from which the figures of agents and models are read."""

import time
from datetime import timedelta

import structlog

from pixelbloom.database.gateway import Gateway

log = structlog.get_logger(__name__)

#: Changes added in one transaction, and rows from before the roll-ups.
FOLD_BATCH = 20_000
FILL_BATCH = 10_000
#: Seconds for which one update goes on.
BUDGET_SECONDS = 8.0
#: While there is work, so that readers have few changes to add up.
BUSY = timedelta(seconds=60)


class FigureStore:
    """Adds rows to the roll-ups. Every method may raise Unavailable, and may be repeated."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def fold(self, limit: int) -> int:
        """Add at most `limit` changes to the sums. Return how many there were; 0 while another caller does it."""
        folded: int = self._gateway.rpc("fold_figures", {"p_limit": limit})
        return folded

    def fill(self, limit: int) -> bool:
        """Add about `limit` rows from before the roll-ups to the sums, the newest first.

        Return whether more are left.
        """
        left: bool = self._gateway.rpc("fill_figures", {"p_limit": limit})
        return left


class RollUps:
    """Keeps the roll-ups up to date. Figures are exact at any time; this bounds what a reader adds up."""

    def __init__(self, store: FigureStore) -> None:
        self._store = store

    def update(self) -> timedelta | None:
        """Add the changes since the last call to the roll-ups, and rows that are older than the roll-ups.

        Return when to continue: zero if some are left after BUDGET_SECONDS, a minute if there were changes, None at
        rest. May raise Unavailable, and may be repeated.
        """
        until, folded = time.monotonic() + BUDGET_SECONDS, 0
        while (count := self._store.fold(FOLD_BATCH)) == FOLD_BATCH:
            folded += count
            if time.monotonic() > until:
                return timedelta()
        folded += count
        while self._store.fill(FILL_BATCH):
            log.info("figures_filled", limit=FILL_BATCH)
            if time.monotonic() > until:
                return timedelta()
        return BUSY if folded else None
