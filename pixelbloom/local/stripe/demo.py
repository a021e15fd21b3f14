"""The prices of the demo's packages, which `pixelbloom seed` adds: what a new user can buy."""

from typing import Any

#: By the package's name; amounts in cents.
PRICES: dict[str, dict[str, Any]] = {
    "Starter": {"id": "price_starter", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    "Growth": {"id": "price_growth", "unit_amount": 14900, "currency": "usd", "interval": "month"},
    "Studio": {"id": "price_studio", "unit_amount": 499000, "currency": "usd", "interval": "year"},
}
