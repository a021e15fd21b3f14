"""Money in the units in which Stripe counts, and in those in which we keep it. Never a float."""

from decimal import Decimal

#: Of these the smallest unit is the major one: Stripe, "Zero-decimal currencies".
ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905
)


def minor_units(amount: Decimal, currency: str) -> int:
    """What Stripe is told: 4900 for 49.00 usd, 4900 for 4900 jpy. Raises ValueError where there is no such amount."""
    scaled = amount * (1 if currency in ZERO_DECIMAL else 100)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} {currency} cannot be paid: the currency has no such small units")
    return int(scaled)


def major_units(amount: int, currency: str) -> Decimal:
    """What we keep: 49.00 for 4900 usd, 4900 for 4900 jpy."""
    return Decimal(amount) if currency in ZERO_DECIMAL else Decimal(amount).scaleb(-2)
