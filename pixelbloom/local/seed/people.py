"""The demo's leads, and what was said with them. What agents found and replied comes from their own rules."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from pixelbloom.agents.registry import get
from pixelbloom.local.seed.plan import Dice, Plan, Row
from pixelbloom.local.seed.words import (
    COMPANY_STEMS,
    FIRST_NAMES,
    INDUSTRIES,
    LAST_NAMES,
    SOURCES,
    TIMELINES,
    WISHES,
)

#: Half a year, in which the agency grows.
DAYS = 180
CLOSED_AFTER = timedelta(days=3)
#: Final statuses of leads by their tier, with weights.
FATES = {
    "hot": {"converted": 45, "qualified": 30, "contacted": 15, "lost": 10},
    "warm": {"converted": 15, "qualified": 30, "contacted": 30, "lost": 25},
    "cold": {"unqualified": 55, "contacted": 20, "lost": 25},
}


@dataclass(frozen=True)
class Work:
    """An agent's work on a lead, as its run records it."""

    agent_type: str
    at: datetime
    input: dict[str, Any]
    output: dict[str, Any]


@dataclass(frozen=True)
class Person:
    """A lead's row, with its tier and the agents' work on it."""

    row: Row
    tier: str
    works: tuple[Work, ...]


def run_agent(agent_type: str, at: datetime, given: dict[str, Any]) -> Work:
    """Run the agent's rules on an input."""
    agent = get(agent_type)
    output = agent.fallback(agent.input.model_validate(given))
    return Work(agent_type, at, given, output.model_dump(mode="json"))


def people(plan: Plan) -> list[Person]:
    """All leads, oldest first: more from month to month, fewer at weekends."""
    dice = plan.dice("people")
    found = []
    for number in range(DAYS):
        day = plan.until - timedelta(days=DAYS - 1 - number)
        expected = (0.7 + 1.3 * number / DAYS) * (1.2 if day.weekday() < 5 else 0.4)
        for _ in range(int(expected + dice.random())):
            minute = int(dice.triangular(7 * 60, 22 * 60, 14 * 60))
            at = datetime.combine(day, time(minute // 60, minute % 60, dice.randrange(60)), plan.end.tzinfo)
            found.append(_person(plan, dice, at))
    return sorted(found, key=lambda person: person.row["created_at"])


def _person(plan: Plan, dice: Dice, at: datetime) -> Person:
    first, last = dice.choice(FIRST_NAMES), dice.choice(LAST_NAMES)
    industry = dice.choice(list(INDUSTRIES))
    company = f"{dice.choice(COMPANY_STEMS)} {dice.choice(INDUSTRIES[industry])}"
    message, _, usual = dice.choice(WISHES)
    given: dict[str, Any] = {
        "name": f"{first} {last}",
        "email": f"{first}.{last}@{company.replace(' ', '-')}.example".lower(),
        "company": company,
        "industry": industry,
        "message": message,
        "source": dice.one_of(SOURCES),
    }
    if dice.happens(0.8):
        given["budget"] = max(500, round(dice.lognormvariate(0, 0.5) * usual / 500) * 500)
    if dice.happens(0.75):
        given["timeline"] = dice.choice(TIMELINES)
    if dice.happens(0.15):
        del given["company"], given["industry"]
    analysed = run_agent("lead_agent", at + dice.within(timedelta(seconds=2), timedelta(seconds=30)), given)
    tier = analysed.output["tier"]
    decided = plan.end - at > dice.within(timedelta(days=2), timedelta(days=14))
    status = dice.one_of(FATES[tier]) if decided else dice.one_of({"new": 70, "contacted": 30})
    row = {
        "id": dice.uuid(),
        "user_id": plan.owner,
        **{name: given.get(name) for name in ("name", "email", "company", "industry", "budget", "timeline")},
        **{name: given[name] for name in ("message", "source")},
        "status": status,
        "score": analysed.output["score"],
        "analysis": analysed.output,
        "analyzed_at": analysed.at,
        "created_at": at,
        "updated_at": analysed.at,
    }
    works = [analysed]
    if tier != "cold":
        wish = {"description": message, **({"budget": given["budget"]} if "budget" in given else {})}
        works.append(run_agent("recommendation_agent", analysed.at + timedelta(seconds=20), wish))
    return Person(row, tier, tuple(works))


def talks(plan: Plan, found: list[Person]) -> tuple[list[Row], list[Row], list[Work]]:
    """Conversations of some of them, their messages, and the chat agent's work."""
    dice = plan.dice("talks")
    conversations: list[Row] = []
    messages: list[Row] = []
    works: list[Work] = []
    for person in found:
        if not dice.happens(0.6):
            continue
        lead = person.row
        [questions] = [asked for text, asked, _ in WISHES if text == lead["message"]]
        conversation_id = dice.uuid()
        at = lead["created_at"] + dice.within(timedelta(minutes=1), timedelta(hours=3))
        begun, history = at, list[dict[str, str]]()
        for question in dice.sample(questions, dice.randint(1, len(questions))):
            work = run_agent("chat_agent", at + timedelta(seconds=1), {"message": question, "history": history[-20:]})
            works.append(work)
            said = (("user", question, at), ("assistant", work.output["reply"], at + timedelta(seconds=4)))
            for role, content, moment in said:
                history.append({"role": role, "content": content})
                messages.append(
                    {
                        "id": dice.uuid(),
                        "conversation_id": conversation_id,
                        "user_id": plan.owner,
                        "role": role,
                        "content": content,
                        "created_at": moment,
                    }
                )
            at += dice.within(timedelta(seconds=40), timedelta(minutes=9))
        conversations.append(
            {
                "id": conversation_id,
                "user_id": plan.owner,
                "lead_id": lead["id"],
                "title": questions[0],
                "status": "closed" if plan.end - at > CLOSED_AFTER else "active",
                "last_message_at": messages[-1]["created_at"],
                "created_at": begun,
                "updated_at": messages[-1]["created_at"],
            }
        )
    return conversations, messages, works


def recommendations(plan: Plan, found: list[Person]) -> list[Row]:
    """Return the services recommended to each lead."""
    dice = plan.dice("recommendations")
    return [
        {
            "id": dice.uuid(),
            "user_id": plan.owner,
            "lead_id": person.row["id"],
            "service": each["service"],
            "reason": each["reason"],
            "priority": each["rank"],
            "confidence": each["score"] / 100,
            "created_at": work.at,
        }
        for person in found
        for work in person.works
        if work.agent_type == "recommendation_agent"
        for each in work.output["recommendations"][:3]
    ]
