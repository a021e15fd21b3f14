"""Reads the figures of the whole system from Postgres."""

from typing import Any

from pixelbloom.database.gateway import Gateway


class SystemFigureStore:
    """The figures of the SQL function `operational_figures`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def read(self) -> dict[str, Any]:
        """Return the figures, in one call whose cost does not grow with the stored runs. Raises Unavailable."""
        found: dict[str, Any] = self._gateway.rpc("operational_figures", {})
        return found
