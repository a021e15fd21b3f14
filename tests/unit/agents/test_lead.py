"""lead_agent: scoring, search, and how a model's judgement counts."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.agents import registry
from pixelbloom.agents.knowledge.scoring import Facts, score
from pixelbloom.agents.knowledge.timelines import weeks
from pixelbloom.agents.lead_reader import LeadRecord
from pixelbloom.errors import InvalidInput, StepRejected
from tests.servers.script import Script

AGENT = registry.get("lead_agent")


class Leads:
    """A LeadReader over a list, that remembers what it was asked."""

    def __init__(self, *records: LeadRecord) -> None:
        self.records = {record.id: record for record in records}
        self.searches: list[tuple[str, int]] = []

    def get(self, lead_id: UUID) -> LeadRecord | None:
        return self.records.get(lead_id)

    def search(self, text: str, limit: int) -> Sequence[LeadRecord]:
        self.searches.append((text, limit))
        terms = text.lower().split()
        found = [r for r in self.records.values() if not terms or any(term in str(r).lower() for term in terms)]
        return found[:limit]


def lead(name: str, **known: object) -> LeadRecord:
    values: dict[str, object] = {
        "email": None,
        "company": None,
        "industry": None,
        "budget": None,
        "timeline": None,
        "message": None,
        "source": "api",
        "status": "new",
        "score": None,
        "created_at": datetime(2025, 1, 26, tzinfo=UTC),
        **known,
    }
    return LeadRecord(id=uuid4(), name=name, **values)  # type: ignore[arg-type]


STRONG = lead(
    "Ada",
    email="ada@cloudly.io",
    company="Cloudly",
    industry="SaaS",
    budget=Decimal(30_000),
    timeline="ASAP",
    message="We need a website and SEO.",
)
WEAK = lead("Bo", email="bo@gmail.com", industry="SaaS", message="Just looking.", timeline="next year")
OTHER = lead("Cy", company="Bakery", industry="food", budget=Decimal(90_000))


@pytest.fixture
def alone(world):
    """A world without models."""
    world.ollama.stop()
    world.huggingface.stop()
    return world


def test_the_specs_example_finds_and_ranks_the_stored_leads(alone):
    leads = Leads(WEAK, STRONG, OTHER)

    output = AGENT.run({"query": "Find top prospects in SaaS"}, alone.context(leads=leads)).output

    assert leads.searches == [("saas", 50)]
    assert [prospect["name"] for prospect in output["prospects"]] == ["Ada", "Bo"]
    assert [prospect["rank"] for prospect in output["prospects"]] == [1, 2]
    assert output["prospects"][0]["matched"] == ["saas"]
    assert output["prospects"][0]["budget"] == 30_000
    assert output["mode"] == "search"
    assert output["searched"] == 2
    assert "Ada of Cloudly" in output["summary"]


def test_the_specs_example_works_on_an_empty_table(alone):
    output = AGENT.run({"query": "Find top prospects in SaaS"}, alone.context()).output

    assert (output["prospects"], output["searched"]) == ([], 0)
    assert "No stored lead about saas" in output["summary"]


def test_the_specs_example_works_on_an_empty_table_with_a_model(world):
    outcome = AGENT.run({"query": "Find top prospects in SaaS"}, world.context())

    assert outcome.provider == "ollama"
    assert outcome.output["prospects"] == []


def test_a_query_of_request_words_only_searches_all_leads(alone):
    leads = Leads(STRONG, OTHER)

    output = AGENT.run({"query": "Show me the best leads", "limit": 1}, alone.context(leads=leads)).output

    assert leads.searches == [("", 5)]
    assert len(output["prospects"]) == 1


def test_a_query_may_contain_a_minimum_budget(alone):
    leads = Leads(STRONG, WEAK, OTHER)

    output = AGENT.run({"query": "leads with a budget over $50k"}, alone.context(leads=leads)).output

    assert [prospect["name"] for prospect in output["prospects"]] == ["Cy"]


def test_leads_that_are_no_longer_open_come_last(alone):
    lost = lead(
        "Di", industry="SaaS", budget=Decimal(30_000), timeline="asap", status="lost", company="D", email="d@d.io"
    )

    output = AGENT.run({"query": "SaaS"}, alone.context(leads=Leads(lost, WEAK))).output

    assert [prospect["name"] for prospect in output["prospects"]] == ["Bo", "Di"]


def test_a_stored_lead_is_qualified_by_its_id(alone):
    output = AGENT.run({"lead_id": str(STRONG.id)}, alone.context(leads=Leads(STRONG))).output

    assert output["lead_id"] == str(STRONG.id)
    assert (output["mode"], output["tier"]) == ("qualification", "hot")
    assert output["services"] == ["web_development", "seo"]


def test_the_callers_fields_override_the_stored_ones(alone):
    output = AGENT.run({"lead_id": str(STRONG.id), "budget": 100}, alone.context(leads=Leads(STRONG))).output

    assert "100 is below" in output["reasons"][0]


def test_a_missing_lead_is_not_retried(alone):
    with pytest.raises(StepRejected, match="There is no lead"):
        AGENT.run({"lead_id": str(uuid4())}, alone.context())


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({}, "input"),
        ({"limit": 5}, "input"),
        ({"query": "SaaS", "name": "Ada"}, "input"),
        ({"source": "web"}, "input"),
        ({"lead_id": "7"}, "input.lead_id"),
        ({"name": "Ada", "budget": -1}, "input.budget"),
        ({"name": "Ada", "budget": "a lot"}, "input.budget"),
        ({"name": "Ada", "budget": float("nan")}, "input.budget"),
        ({"name": "Ada", "budget": True}, "input.budget"),
        ({"query": "x" * 501}, "input.query"),
        ({"query": "SaaS", "limit": 51}, "input.limit"),
        ({"email": "nobody"}, "input.email"),
    ],
)
def test_a_contradictory_input_is_refused_by_field(input, field):
    with pytest.raises(InvalidInput) as caught:
        AGENT.validate(input)

    assert caught.value.details[0].field == field


def test_a_budget_may_be_a_text(alone):
    output = AGENT.run({"name": "Ada", "budget": "$20k"}, alone.context()).output

    assert "20,000" in output["reasons"][0]


def test_a_budget_in_the_message_counts_if_no_other_is_known():
    assert "named in the message of 8,000" in score(Facts(message="We have 8,000 USD for a website")).reasons[0]


def test_a_model_moves_the_score_by_ten_at_most(world):
    input = {"name": "Ada", "message": "We need a website.", "budget": 8000}
    computed = AGENT.fallback(AGENT.input.model_validate(input)).score
    draft = {"summary": "Hot!", "adjustment": 100, "adjustment_reason": "They are keen.", "next_actions": ["Call."]}
    world.ollama.play(Script(text=json.dumps(draft)))

    output = AGENT.run(input, world.context()).output

    assert output["score"] == computed + 10
    assert output["breakdown"]["judgement"] == 10
    assert "They are keen." in output["reasons"]


def test_a_model_cannot_add_a_prospect_that_is_not_stored(world):
    draft = {"summary": "Two!", "next_actions": ["Call."], "prospects": [{"name": "Nobody"}], "adjustment": 5}
    world.ollama.play(Script(text=json.dumps(draft)))

    output = AGENT.run({"query": "SaaS"}, world.context(leads=Leads(STRONG))).output

    assert [prospect["name"] for prospect in output["prospects"]] == ["Ada"]


_FACTS = st.builds(
    Facts,
    name=st.none() | st.just("Ada"),
    email=st.none() | st.sampled_from(["a@gmail.com", "a@firm.io"]),
    company=st.none() | st.just("Firm"),
    industry=st.none() | st.sampled_from(["SaaS", "mining"]),
    budget=st.none() | st.decimals(0, 10**9, places=2),
    timeline=st.none() | st.sampled_from(["asap", "2 weeks", "3-6 months", "next year", "whenever"]),
    message=st.none() | st.sampled_from(["A website and a logo", "hello", "We have $5k for ads, soon"]),
)


@given(_FACTS)
def test_a_score_is_within_its_bounds_and_has_reasons(facts):
    found = score(facts)

    assert 0 <= found.total <= 100
    assert len(found.reasons) == len(found.points)


@given(_FACTS, st.decimals(0, 10**9, places=2), st.decimals(0, 10**9, places=2))
def test_more_budget_never_lowers_a_score(facts, one, other):
    less, more = sorted((one, other))

    def total(budget: Decimal) -> int:
        return score(Facts(**{**vars(facts), "budget": budget})).total

    assert total(less) <= total(more)


@given(_FACTS, st.integers(1, 300), st.integers(1, 300))
def test_a_shorter_timeline_never_lowers_a_score(facts, one, other):
    soon, late = sorted((one, other))

    def total(days: int) -> int:
        return score(Facts(**{**vars(facts), "timeline": f"{days} days"})).total

    assert total(soon) >= total(late)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ASAP", 1),
        ("within 2 weeks", 2),
        ("3-6 months", 26.1),
        ("no rush, maybe next year", 52),
        ("1 quarter", 13),
        ("by the blue moon", None),
        ("", None),
        (None, None),
    ],
)
def test_timelines_are_parsed_from_text(text, expected):
    assert weeks(text) == expected
