"""ecommerce_agent: analyses a shop's numbers."""

import itertools
from decimal import Decimal
from typing import Any

from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.ecommerce_fields import (
    EcommerceDraft,
    EcommerceInput,
    EcommerceOutput,
    Product,
    ProductMetrics,
    ShopMetrics,
)
from pixelbloom.agents.knowledge.words import listing
from pixelbloom.models.catalog import GENERAL

#: Typical ranges of shops; numbers outside are reported.
_LOW_CONVERSION = 0.01
_GOOD_CONVERSION = 0.03
_LOW_MARGIN = 0.25
_HIGH_RETURNS = 0.15
_LOW_STOCK_DAYS = 14
_HIGH_STOCK_DAYS = 180


class EcommerceAgent(StructuredAgent[EcommerceInput, EcommerceDraft, EcommerceOutput]):
    """Computes margin, order value, conversion and stock, and recommends actions."""

    agent_type = "ecommerce_agent"
    title = "E-commerce"
    description = "Computes a shop's margin, order value, conversion and stock from its numbers, and says what to do."
    capabilities = ("margin and order value", "conversion and abandonment", "stock and returns", "actions")
    model = GENERAL
    max_tokens = 800
    input = EcommerceInput
    output = EcommerceOutput
    draft = EcommerceDraft
    role = "a consultant for online shops"
    guidance = (
        "Each action follows from a number; name it.",
        "Where a number is missing that the question needs, say which.",
    )
    task = "Say how the shop does and what to do."

    def facts(self, input: EcommerceInput) -> dict[str, Any]:
        """Return measures, the ten best and worst products, and findings."""
        products = _products(input)
        shown = products if len(products) <= 20 else products[:10] + products[-10:]
        return {
            "metrics": _metrics(input).model_dump(mode="json", exclude_none=True),
            "products": [product.model_dump(mode="json", exclude_none=True) for product in shown],
            "findings": _findings(input)[:15],
        }

    def rules(self, input: EcommerceInput) -> EcommerceDraft:
        """Return the measures as text, and an action for each finding."""
        metrics = _metrics(input)
        unit = input.currency.upper()
        said = []
        if metrics.revenue is not None:
            said.append(f"{metrics.revenue:,.2f} {unit} revenue in {input.period_days} days")
        if metrics.average_order_value is not None:
            said.append(f"{metrics.average_order_value:,.2f} {unit} an order")
        if metrics.conversion_rate is not None:
            said.append(f"{metrics.conversion_rate:.1%} of visits buy")
        if metrics.gross_margin_rate is not None:
            said.append(f"{metrics.gross_margin_rate:.0%} gross margin")
        if metrics.profit_after_marketing is not None:
            said.append(f"{metrics.profit_after_marketing:,.2f} {unit} left after marketing")
        summary = f"{input.shop or 'The shop'}: {listing(said)}." if said else "Too few numbers for a measure yet."
        return EcommerceDraft(summary=summary, actions=_actions(input))

    def compose(self, draft: EcommerceDraft, input: EcommerceInput) -> EcommerceOutput:
        """Combine the numbers with the draft's text."""
        return EcommerceOutput(
            summary=draft.summary,
            currency=input.currency,
            metrics=_metrics(input),
            products=_products(input),
            findings=_findings(input),
            actions=draft.actions,
        )


def _net_units(product: Product) -> int:
    return product.units_sold - product.units_returned


def _metrics(input: EcommerceInput) -> ShopMetrics:
    revenue = input.revenue
    if revenue is None and input.products:
        revenue = sum((product.price * _net_units(product) for product in input.products), Decimal(0))
    known = [product for product in input.products if product.cost is not None]
    margin = sum(((p.price - (p.cost or 0)) * _net_units(p) for p in known), Decimal(0)) if known else None
    of_known = sum((p.price * _net_units(p) for p in known), Decimal(0))
    orders, spend = input.orders, input.marketing_spend
    abandoned = None
    if input.carts and orders is not None and orders <= input.carts:
        abandoned = 1 - orders / input.carts
    converted = None
    if input.visitors and orders is not None and orders <= input.visitors:
        converted = round(orders / input.visitors, 4)
    return ShopMetrics(
        revenue=revenue,
        average_order_value=round(revenue / orders, 2) if revenue is not None and orders else None,
        conversion_rate=converted,
        cart_abandonment=None if abandoned is None else round(abandoned, 4),
        gross_margin=margin,
        gross_margin_rate=round(float(margin / of_known), 4) if margin is not None and of_known > 0 else None,
        return_on_ad_spend=round(float(revenue / spend), 2) if revenue is not None and spend else None,
        cost_per_order=round(spend / orders, 2) if spend is not None and orders else None,
        profit_after_marketing=margin - spend if margin is not None and spend is not None else None,
    )


def _products(input: EcommerceInput) -> list[ProductMetrics]:
    measured = [_measure(product, input.period_days) for product in input.products]
    return sorted(measured, key=lambda p: (p.margin is None, -(p.margin or 0), -p.revenue, p.name))


def _measure(product: Product, days: int) -> ProductMetrics:
    net = _net_units(product)
    margin = None if product.cost is None else (product.price - product.cost) * net
    rate = None
    if product.cost is not None and product.price:
        rate = round(float((product.price - product.cost) / product.price), 4)
    stock_days = None
    if product.stock is not None and net > 0:
        stock_days = product.stock * days // net
    return ProductMetrics(
        name=product.name,
        revenue=product.price * net,
        margin=margin,
        margin_rate=rate,
        return_rate=round(product.units_returned / product.units_sold, 4)
        if product.units_sold > 0 and net >= 0
        else None,
        stock_days=stock_days,
    )


def _findings(input: EcommerceInput) -> list[str]:
    return [finding for finding, _ in _judged(input)][:30]


def _actions(input: EcommerceInput) -> list[str]:
    actions = list(dict.fromkeys(action for _, action in _judged(input)))[:6]
    return actions or ["Keep the course, and compare with the same period of last year."]


def _doubts(input: EcommerceInput) -> list[tuple[str, str]]:
    """Return notes on inconsistent numbers, and how they were handled."""
    found = [
        (
            f"{product.name}: more came back ({product.units_returned}) than was sold ({product.units_sold}); those of "
            "earlier sales are taken off this period's revenue.",
            f"Find out why {product.name} comes back.",
        )
        for product in input.products
        if product.units_returned > product.units_sold
    ]
    counts = (("visits", input.visitors), ("carts", input.carts), ("orders", input.orders))
    for (wide, many), (narrow, few) in itertools.combinations(counts, 2):
        if many is not None and few is not None and few > many:
            found.append(
                (
                    f"There are more {narrow} ({few}) than {wide} ({many}); the one was not measured by the other.",
                    f"Check how {wide} and {narrow} are counted.",
                )
            )
    return found


def _judged(input: EcommerceInput) -> list[tuple[str, str]]:
    """Return the findings with their actions; losses first."""
    metrics = _metrics(input)
    found = _doubts(input)
    if metrics.profit_after_marketing is not None and metrics.profit_after_marketing < 0:
        found.append(
            (
                f"Marketing costs {-metrics.profit_after_marketing:,.2f} more than the margin earns.",
                "Pause the campaigns whose orders cost more than their margin.",
            )
        )
    for product in _products(input):
        if product.margin_rate is not None and product.margin_rate < 0:
            found.append((f"{product.name} is sold below its cost.", f"Raise the price of {product.name}."))
        elif product.margin_rate is not None and product.margin_rate < _LOW_MARGIN:
            found.append(
                (
                    f"{product.name} keeps only {product.margin_rate:.0%} of its price.",
                    f"Renegotiate the cost of {product.name}, or sell it in bundles.",
                )
            )
        if product.return_rate is not None and product.return_rate > _HIGH_RETURNS:
            found.append(
                (f"{product.name}: {product.return_rate:.0%} came back.", f"Find out why {product.name} comes back.")
            )
        if product.stock_days is not None and product.stock_days < _LOW_STOCK_DAYS:
            found.append((f"{product.name} sells out in {product.stock_days} days.", f"Reorder {product.name} now."))
        if product.stock_days is not None and product.stock_days > _HIGH_STOCK_DAYS:
            found.append(
                (f"The stock of {product.name} lasts {product.stock_days} days.", f"Sell off some {product.name}.")
            )
    rate = metrics.conversion_rate
    if rate is not None and rate < _LOW_CONVERSION:
        found.append((f"Only {rate:.2%} of visits buy.", "Test the product pages and the checkout on a phone."))
    elif rate is not None and rate >= _GOOD_CONVERSION:
        found.append((f"{rate:.1%} of visits buy, which is good.", "Bring more visitors: the shop converts them."))
    if metrics.cart_abandonment is not None and metrics.cart_abandonment > 0.7:
        found.append(
            (
                f"{metrics.cart_abandonment:.0%} of carts are left.",
                "Show shipping costs early, and write to those who left a cart.",
            )
        )
    return found
