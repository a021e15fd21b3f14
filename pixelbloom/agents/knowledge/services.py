"""The agency's services, shared by chat, recommendations and lead scoring. Prices in USD."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pixelbloom.agents.knowledge.words import count

ServiceKey = Literal[
    "web_development", "ecommerce", "brand_design", "digital_marketing", "seo", "content", "analytics", "care"
]
Goal = Literal[
    "more_leads",
    "online_sales",
    "brand_awareness",
    "new_website",
    "better_conversion",
    "customer_retention",
    "market_insight",
    "save_time",
]


@dataclass(frozen=True)
class Service:
    """One service: its lowest and usual price, the weeks it takes, and how well it serves goals (0 to 1)."""

    key: ServiceKey
    title: str
    summary: str
    entry_price: Decimal
    usual_price: Decimal
    weeks: int
    monthly: bool
    serves: dict[Goal, float]
    words: tuple[str, ...]


SERVICES: tuple[Service, ...] = (
    Service(
        key="web_development",
        title="Website design and development",
        summary="A fast, accessible website on a system that your team can edit.",
        entry_price=Decimal(4000),
        usual_price=Decimal(12000),
        weeks=8,
        monthly=False,
        serves={"new_website": 1.0, "more_leads": 0.6, "better_conversion": 0.6, "brand_awareness": 0.3},
        words=("website", "web site", "web app", "landing page", "web development", "wordpress", "portal"),
    ),
    Service(
        key="ecommerce",
        title="Online shop",
        summary="A shop with payments, stock and shipping connected, built to convert.",
        entry_price=Decimal(6000),
        usual_price=Decimal(18000),
        weeks=10,
        monthly=False,
        serves={"online_sales": 1.0, "better_conversion": 0.7, "customer_retention": 0.3},
        words=("shop", "store", "ecommerce", "e-commerce", "checkout", "cart", "shopify", "woocommerce"),
    ),
    Service(
        key="brand_design",
        title="Brand identity",
        summary="Logo, colours, type and a guide that keeps them together.",
        entry_price=Decimal(2500),
        usual_price=Decimal(7000),
        weeks=5,
        monthly=False,
        serves={"brand_awareness": 0.9, "new_website": 0.3, "customer_retention": 0.2},
        words=("brand", "branding", "logo", "identity", "colour", "color", "rebrand"),
    ),
    Service(
        key="digital_marketing",
        title="Paid campaigns",
        summary="Search and social campaigns, run and reported every month.",
        entry_price=Decimal(1500),
        usual_price=Decimal(4000),
        weeks=2,
        monthly=True,
        serves={"more_leads": 0.9, "online_sales": 0.8, "brand_awareness": 0.8},
        words=("ads", "campaign", "marketing", "ppc", "google ads", "facebook", "instagram", "social media"),
    ),
    Service(
        key="seo",
        title="Search engine optimisation",
        summary="Technical repairs, content gaps and links, measured by rankings and enquiries.",
        entry_price=Decimal(1200),
        usual_price=Decimal(2500),
        weeks=12,
        monthly=True,
        serves={"more_leads": 0.8, "brand_awareness": 0.6, "online_sales": 0.6},
        words=("seo", "search engine", "ranking", "organic traffic"),
    ),
    Service(
        key="content",
        title="Content production",
        summary="Articles, pages and mail written to a plan and an editorial calendar.",
        entry_price=Decimal(800),
        usual_price=Decimal(2200),
        weeks=4,
        monthly=True,
        serves={"brand_awareness": 0.7, "more_leads": 0.5, "customer_retention": 0.7, "save_time": 0.6},
        words=("content", "blog", "article", "newsletter", "copywriting", "copy", "editorial"),
    ),
    Service(
        key="analytics",
        title="Analytics and conversion",
        summary="Measurement that can be trusted, dashboards, and experiments on the pages that matter.",
        entry_price=Decimal(1500),
        usual_price=Decimal(4500),
        weeks=4,
        monthly=False,
        serves={"market_insight": 1.0, "better_conversion": 0.9, "online_sales": 0.3, "save_time": 0.3},
        words=("analytics", "tracking", "dashboard", "report", "conversion rate", "data", "a/b test"),
    ),
    Service(
        key="care",
        title="Care plan",
        summary="Updates, backups, monitoring and a set number of hours each month.",
        entry_price=Decimal(300),
        usual_price=Decimal(600),
        weeks=1,
        monthly=True,
        serves={"save_time": 1.0, "customer_retention": 0.3},
        words=("maintenance", "support", "hosting", "updates", "backup"),
    ),
)

BY_KEY: dict[str, Service] = {service.key: service for service in SERVICES}


def mentioned(text: str) -> tuple[Service, ...]:
    """Return the services mentioned in the text, most mentions first."""
    hits = {service.key: count(text, service.words) for service in SERVICES}
    return tuple(sorted((s for s in SERVICES if hits[s.key]), key=lambda s: -hits[s.key]))
