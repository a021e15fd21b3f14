"""Money in the units of Stripe's API and in major units, as it is stored. Never a float.

The source of the tables: https://docs.stripe.com/currencies, "Zero-decimal currencies", "Three-decimal currencies" and
"Special cases". Every other currency has two decimals, huf and twd too (they are without decimals in payouts only).
"""

from decimal import Decimal

ZERO_DECIMAL = frozenset(("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"))
ZERO_DECIMAL |= frozenset(("pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"))
#: The last digit of an amount that is charged must be 0.
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
#: Counted in hundredths by the API, although only whole major units can be charged.
WHOLE_HUNDREDTHS = frozenset(("isk", "ugx"))


def currency_digits(currency: str) -> int:
    """Return the number of decimals of Stripe's smallest unit in this currency: 2 for usd, 3 for kwd."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def charge_digits(currency: str) -> int:
    """Return the number of decimals that a charged amount may have in this currency: 2 for usd and kwd, 0 for isk."""
    return 0 if currency in ZERO_DECIMAL or currency in WHOLE_HUNDREDTHS else 2


def minor_units(amount: Decimal, currency: str) -> int:
    """Return an amount as Stripe counts it: 4900 for 49.00 usd and for 4900 jpy, 18600 for 18.600 kwd.

    Raises ValueError if the amount cannot be charged in this currency.
    """
    digits = charge_digits(currency)
    if amount != round(amount, digits):
        raise ValueError(f"{amount} {currency} cannot be charged: use at most {digits} decimals")
    return int(amount.scaleb(currency_digits(currency)))


def major_units(amount: int, currency: str) -> Decimal:
    """Return Stripe's amount in major units: 49.00 for 4900 usd, 4900 for 4900 jpy, 18.600 for 18600 kwd."""
    return Decimal(amount).scaleb(-currency_digits(currency))
