"""The roll-ups from which the figures of agents and models are read."""

from pixelbloom.database.gateway import Gateway


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
