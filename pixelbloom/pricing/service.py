"""The rules of packages, campaigns and redemptions."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import Conflict, FieldError, InvalidInput, NotFound
from pixelbloom.pricing.store import PricingStore

_PACKAGE_KEYS = "name or stripe_price_id, or was sold at it"


class PricingService(PricingStore):
    """The stored packages, campaigns and redemptions. Every method may raise Unavailable. An id of None names no row.

    `check_package` raises InvalidInput for a package that cannot be sold. `campaign_errors` returns the errors of a
    campaign, given the ids of its packages that exist.
    """

    def __init__(
        self,
        gateway: Gateway,
        check_package: Callable[[Mapping[str, Any]], None],
        campaign_errors: Callable[[Mapping[str, Any], Collection[str]], Sequence[FieldError]],
    ) -> None:
        super().__init__(gateway)
        self.check_package = check_package
        self._campaign_errors = campaign_errors

    def get_package(self, package_id: UUID | None) -> dict[str, Any]:
        """Return a package, even a retired one. Raises NotFound."""
        return _found(package_id, self.package, "package; GET /api/pricing/catalogue")

    def get_campaign(self, campaign_id: UUID | None) -> dict[str, Any]:
        """Return a campaign. Raises NotFound."""
        return _found(campaign_id, self.campaign, "campaign; GET /api/pricing/campaigns")

    def get_redemption(self, redemption_id: UUID | None) -> dict[str, Any]:
        """Return a redemption of a code. Raises NotFound."""
        return _found(redemption_id, self.redemption, "redemption; GET /api/pricing/redemptions")

    def check_campaign(self, row: Mapping[str, Any]) -> None:
        """Raise InvalidInput for a campaign that cannot be granted."""
        if errors := self._campaign_errors(row, self.known_packages(row["package_ids"] or ())):
            raise InvalidInput.of(errors)

    def add_package(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored package.

        Raises InvalidInput, and Conflict if another one has its name or price id, or was sold at that price.
        """
        self.check_package(row)
        with _unique(_PACKAGE_KEYS):
            return super().add_package(row)

    def change_package(self, package_id: UUID, version: int, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the changed package; None if it has another version. Raises Conflict."""
        with _unique(_PACKAGE_KEYS):
            return super().change_package(package_id, version, changes)

    def add_campaign(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored campaign. Raises InvalidInput, and Conflict if its code exists already."""
        self.check_campaign({**row, "uses": 0})
        with _unique("code"):
            return super().add_campaign(row)


def _found(row_id: UUID | None, find: Callable[[UUID], dict[str, Any] | None], what: str) -> dict[str, Any]:
    row = find(row_id) if row_id else None
    if row is None:
        raise NotFound(f"There is no such {what} lists them.")
    return row


@contextmanager
def _unique(names: str) -> Iterator[None]:
    """Raise a Conflict that names the unique fields if the row exists already."""
    try:
        yield
    except Conflict as error:
        if "exists" not in error.message:
            raise
        raise Conflict(f"Another one has this {names}; choose another.") from None
