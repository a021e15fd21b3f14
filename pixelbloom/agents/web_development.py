"""web_development_agent: estimates a website."""

from typing import Any

from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.knowledge.words import any_of, listing, plural
from pixelbloom.agents.web_development_fields import (
    EffortItem,
    Phase,
    ProjectType,
    WebDevelopmentDraft,
    WebDevelopmentInput,
    WebDevelopmentOutput,
)
from pixelbloom.models.catalog import CODER

#: Hours before any feature: set-up, design, templates, launch.
_BASE: dict[ProjectType, int] = {
    "landing_page": 24,
    "website": 60,
    "shop": 110,
    "web_app": 120,
    "portal": 130,
    "api": 50,
}
_STACKS: dict[ProjectType, list[str]] = {
    "landing_page": ["Astro", "Tailwind CSS", "static hosting with a CDN"],
    "website": ["WordPress or a headless CMS", "Tailwind CSS", "managed hosting"],
    "shop": ["Shopify or WooCommerce", "Stripe", "managed hosting"],
    "web_app": ["React", "Flask", "PostgreSQL", "Celery with Redis"],
    "portal": ["React", "Flask", "PostgreSQL", "OpenID Connect"],
    "api": ["Flask", "PostgreSQL", "OpenAPI", "Celery with Redis"],
}
#: Features with known hours.
_FEATURES: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("Sign-in and accounts", 28, ("login", "sign-in", "signin", "account", "authentication", "auth", "sso", "members")),
    ("Payments", 36, ("payment", "stripe", "paypal", "billing", "subscription", "checkout")),
    ("Booking", 44, ("booking", "appointment", "reservation", "calendar", "scheduling")),
    ("Search", 20, ("search", "filter", "faceted")),
    ("Blog or news", 16, ("blog", "news", "articles", "magazine")),
    ("Content management", 24, ("cms", "content management", "editor", "editable")),
    ("Contact form", 6, ("contact form", "form", "enquiry form")),
    ("Newsletter", 8, ("newsletter", "mailing list", "mailchimp")),
    ("Chat", 30, ("chat", "messaging", "chatbot", "live chat")),
    ("Dashboard and reports", 44, ("dashboard", "report", "analytics", "statistics", "charts")),
    ("Administration", 40, ("admin", "back office", "backoffice", "user management", "roles")),
    ("File upload", 16, ("upload", "files", "documents", "attachments", "gallery", "images")),
    ("Maps", 10, ("map", "location", "store finder")),
    ("Reviews", 14, ("review", "rating", "testimonial", "comments")),
    ("Notifications", 20, ("notification", "push", "email alerts", "sms", "real-time", "realtime")),
    ("Data import", 24, ("import", "migration", "migrate", "export", "csv")),
    ("Interface to another system", 32, ("api", "integration", "crm", "erp", "salesforce", "hubspot", "webhook")),
    ("Multilingual content", 20, ("multilingual", "languages", "translation", "i18n")),
    ("Accessibility audit", 16, ("accessibility", "wcag", "barrier-free", "ada compliance")),
)
#: Hours of an unknown feature.
_UNKNOWN = 24
_PER_PAGE = 4
_PER_LANGUAGE = 14
#: Hours that one person works on one project in a week.
_HOURS_A_WEEK = 28
_PHASES = (("Discovery", 0.1), ("Design", 0.2), ("Build", 0.5), ("Test", 0.13), ("Launch", 0.07))


class WebDevelopmentAgent(StructuredAgent[WebDevelopmentInput, WebDevelopmentDraft, WebDevelopmentOutput]):
    """Estimates effort, cost and weeks from pages and features."""

    agent_type = "web_development_agent"
    title = "Web development"
    description = "Estimates hours, cost and time of a web project from its features, and suggests how to build it."
    capabilities = ("effort estimate", "project plan", "technology choice", "risks and open questions")
    model = CODER
    max_tokens = 1000
    input = WebDevelopmentInput
    output = WebDevelopmentOutput
    draft = WebDevelopmentDraft
    role = "a technical lead who plans web projects"
    guidance = (
        "Prefer proven technology that a small team can keep running.",
        "Name risks and questions that follow from this description, not general ones.",
    )
    task = "Plan this project."

    def facts(self, input: WebDevelopmentInput) -> dict[str, Any]:
        """Return the estimate."""
        items = effort(input)
        low, likely, high = _hours(items)
        return {
            "hours": {"low": low, "likely": likely, "high": high},
            "weeks": _weeks(likely, input.team_size),
            "meets_deadline": _meets(input, likely),
            "items": [item.model_dump() for item in items],
        }

    def rules(self, input: WebDevelopmentInput) -> WebDevelopmentDraft:
        """Return the usual stack of such a project, and risks and questions by what is unknown."""
        items = effort(input)
        low, likely, high = _hours(items)
        weeks = _weeks(likely, input.team_size)
        assumed = [item.name for item in items if item.basis == "assumed"]
        biggest = max(items, key=lambda item: item.hours)
        risks = [f"The largest part is {biggest.name} ({biggest.hours} hours): settle its scope first."]
        if _meets(input, likely) is False:
            risks.insert(0, f"{plural(weeks, 'week')} do not fit into {input.deadline_weeks}: cut scope or add people.")
        if assumed:
            risks.append(f"Assumed, not known: {listing(assumed[:5])}.")
        if input.languages > 1:
            risks.append(f"Texts in {input.languages} languages usually come late.")
        questions = [f"What exactly must “{name}” do?" for name in assumed[:3]]
        return WebDevelopmentDraft(
            summary=(
                f"About {likely} hours ({low} to {high}), {plural(weeks, 'week')} for a team of {input.team_size}. "
                f"{plural(len(items) - len(assumed), 'part')} of the work known, {len(assumed)} assumed."
            ),
            stack=_STACKS[input.project_type],
            risks=risks,
            questions=[*questions, "Who writes the texts and provides the images?", "Who decides, and how fast?"],
        )

    def compose(self, draft: WebDevelopmentDraft, input: WebDevelopmentInput) -> WebDevelopmentOutput:
        """Combine the hours and costs with the draft's text."""
        items = effort(input)
        low, likely, high = _hours(items)
        weeks = _weeks(likely, input.team_size)
        return WebDevelopmentOutput(
            summary=draft.summary,
            hours_low=low,
            hours_likely=likely,
            hours_high=high,
            cost_likely=likely * input.hourly_rate,
            cost_high=high * input.hourly_rate,
            currency=input.currency,
            weeks=weeks,
            meets_deadline=_meets(input, likely),
            items=items,
            phases=_phases(likely, weeks),
            stack=draft.stack,
            risks=draft.risks,
            questions=draft.questions,
        )


def effort(input: WebDevelopmentInput) -> list[EffortItem]:
    """Return the parts of the work with their likely hours; a known feature counts once."""
    base = f"Base of a {input.project_type.replace('_', ' ')}"
    items = [EffortItem(name=base, hours=_BASE[input.project_type], basis="known")]
    if input.pages:
        items.append(EffortItem(name=plural(input.pages, "page"), hours=input.pages * _PER_PAGE, basis="known"))
    known: dict[str, int] = {}
    for feature in dict.fromkeys(input.features):
        found = next(((name, hours) for name, hours, signs in _FEATURES if any_of(feature, signs)), None)
        if found:
            known[found[0]] = found[1]
        else:
            items.append(EffortItem(name=feature, hours=_UNKNOWN, basis="assumed"))
    items += [EffortItem(name=name, hours=hours, basis="known") for name, hours in known.items()]
    if input.languages > 1:
        more = input.languages - 1
        hours = more * _PER_LANGUAGE
        items.append(EffortItem(name=plural(more, "further language"), hours=hours, basis="known"))
    return items


def _hours(items: list[EffortItem]) -> tuple[int, int, int]:
    """Return the low, likely and high hours; assumed parts may double."""
    known = sum(item.hours for item in items if item.basis == "known")
    assumed = sum(item.hours for item in items if item.basis == "assumed")
    return round(known * 0.85 + assumed * 0.6), known + assumed, round(known * 1.25 + assumed * 2)


def _weeks(hours: int, team: int) -> int:
    """Return whole weeks; each further person adds three quarters, because of coordination."""
    strength = 1 + 0.75 * (team - 1)
    return max(1, -(-hours // int(_HOURS_A_WEEK * strength)))


def _meets(input: WebDevelopmentInput, hours: int) -> bool | None:
    if input.deadline_weeks is None:
        return None
    return _weeks(hours, input.team_size) <= input.deadline_weeks


def _phases(hours: int, weeks: int) -> list[Phase]:
    phases = []
    spent = 0
    share = 0.0
    for name, part in _PHASES:
        share += part
        until = round(hours * min(1.0, share))
        phases.append(Phase(name=name, hours=until - spent, ends_in_week=max(1, round(weeks * share))))
        spent = until
    return phases
