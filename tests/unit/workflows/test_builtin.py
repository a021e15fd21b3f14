"""Whatever inputs a built-in workflow takes, it brings to its end: without a model, and with one that says too much."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelbloom.agents import registry
from pixelbloom.agents.base import Agent, ProseAgent, StructuredAgent
from pixelbloom.agents.knowledge.described import amount_text
from pixelbloom.core.text import clean_text
from pixelbloom.errors import InvalidInput
from pixelbloom.workflows.builtin import builtin
from pixelbloom.workflows.definition import ApprovalStep, Definition
from pixelbloom.workflows.graph import order
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.rendering import Rendered, render
from tests.unit.workflows.claims import claim

BUILT_IN = {definition.workflow_id: definition for definition in builtin()}


def by_rule(agent: Agent[Any, Any], input: Any) -> Any:
    return agent.fallback(input)


def at_length(agent: Agent[Any, Any], input: Any) -> Any:
    """Return the draft of a model that fills every text and every list of its draft to the bound."""
    if isinstance(agent, ProseAgent):
        return agent.from_text("# Title\n\n" + "## Part\n\nMany words. " * 1500, input)
    assert isinstance(agent, StructuredAgent)
    draft = agent.rules(input).model_dump()
    for name, value in draft.items():
        more: Any = "w " * 5000 if isinstance(value, str) else ["w " * 500] * 20
        try:
            agent.draft.model_validate({**draft, name: more})
        except ValueError:
            continue
        draft[name] = more
    return agent.compose(agent.draft.model_validate(draft), input)


def go(definition: Definition, inputs: dict[str, Any], answer: Any = by_rule) -> dict[str, Any]:
    """The steps of a run in the order of their needs, each with the outcomes that the database would hand it."""
    check_inputs(definition, inputs)
    steps: dict[str, Any] = {}
    for step in order(definition.steps):
        found = render(claim(step, inputs, steps))
        input: Any = found.input if isinstance(found, Rendered) else found.get("input")
        outcome: dict[str, Any] = {"status": "completed", "output": None, "error": None}
        if isinstance(found, Rendered):
            agent = registry.get(getattr(step, "agent", ""))
            agent.validate(found.input)
            outcome["output"] = answer(agent, agent.input.model_validate(found.input)).model_dump(mode="json")
        elif isinstance(step, ApprovalStep):
            assert input["message"]
            outcome["output"] = {"approved": True, "comment": "c" * 2000 if answer is at_length else None}
        else:
            outcome["status"] = found["what"]
            assert found["what"] == "skipped"
        steps[step.key] = {"input": input, **outcome}
    return steps


def texts(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "amount":
        return st.from_regex(amount_text(10), fullmatch=True).filter(lambda text: len(text) <= schema["maxLength"])
    most = schema.get("maxLength", 36)
    if schema["pattern"] != r"\S":
        # Python calls \x1c to \x1f blanks, which the workflows' patterns, like browsers, do not.
        return st.from_regex(schema["pattern"], fullmatch=True).filter(
            lambda text: len(text) <= most and clean_text(text) == text and not set(text) & set("\x1c\x1d\x1e\x1f")
        )
    said = ["How much is a shop?", "It is broken, an error", "Hello", "A refund, please, terrible", "  é \U0001f600 "]
    return st.one_of(
        st.sampled_from([text for text in said if len(text) <= most]),
        st.sampled_from(["x" * most, ("how much " * most)[:most], ("error " * most)[:most], "\U0001f600" * most]),
    )


def values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "array":
        return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=schema["maxItems"])
    numbers = st.floats(schema.get("minimum"), schema.get("maximum")) if "maximum" in schema else st.nothing()
    return st.one_of(numbers, texts(schema) if "string" in schema["type"] else st.nothing())


@cache
def inputs_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Inputs that the workflow's schema accepts."""
    schema = BUILT_IN[name].inputs
    assert schema is not None
    required = schema.get("required", [])
    ways = [name for way in schema.get("anyOf", []) for name in way["required"]]
    fields = {name: values(part) for name, part in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: part for name, part in fields.items() if name not in required},
    ).filter(lambda some: not ways or any(name in some for name in ways))


@pytest.mark.parametrize("answer", [by_rule, at_length])
@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=settings.default.max_examples // 2, deadline=None)
@given(data=st.data())
def test_every_valid_input_leads_to_completion(name: str, answer: Any, data: st.DataObject) -> None:
    definition = BUILT_IN[name]
    inputs = data.draw(inputs_of(name))
    steps = go(definition, inputs, answer)
    assert steps[order(definition.steps)[-1].key]["output"]["body"]


@pytest.mark.parametrize(
    ("message", "route", "said"),
    [
        ("How much is an online shop?", "sales", "summary"),
        ("Our checkout page is broken, it throws an error.", "technical", "summary"),
        ("Hello!", "other", "reply"),
        ("I want a refund, this is terrible.", "other", "reply"),
        ("Can someone call me?", "other", "reply"),
    ],
)
def test_support_takes_one_route_and_replies_with_its_result(message: str, route: str, said: str) -> None:
    steps = go(BUILT_IN["support_triage"], {"message": message, "name": "Ada"})
    assert {key for key in ("sales", "technical", "other") if steps[key]["status"] == "completed"} == {route}
    answer = steps["answer"]["input"]
    assert answer["topic"] == "Answer to Ada"
    assert answer["brief"] == "\n".join(
        [
            f"They wrote: {message}",
            f"We say: {steps['triage']['output']['reply']}",
            f"What we found: {steps[route]['output'][said]}",
        ]
    )
    assert ("A person" in answer["call_to_action"]) is steps["triage"]["output"]["needs_human"]


def test_lead_intake_passes_the_lead_from_step_to_step() -> None:
    assert BUILT_IN["lead_intake"].inputs is not None
    [lead] = BUILT_IN["lead_intake"].inputs["examples"]
    steps = go(BUILT_IN["lead_intake"], lead)
    assert steps["qualify"]["input"] == lead
    assert steps["recommend"]["input"]["goals"] == [lead["message"]]
    reply, advice = steps["reply"]["input"], steps["recommend"]["output"]
    assert (reply["topic"], reply["content_type"]) == ("Reply to Ada Mills", "email")
    wrote, said, begin, first = reply["brief"].split("\n")
    assert wrote == f"They wrote: {lead['message']}"
    assert said == f"Our advice: {advice['summary']}"
    assert begin == f"Begin with: {', '.join(one['title'] for one in advice['recommendations'][:3])}"
    assert first == f"First steps: {' '.join(advice['next_steps'])}"


def test_a_campaigns_plan_joins_its_three_branches() -> None:
    assert BUILT_IN["campaign_launch"].inputs is not None
    [campaign] = BUILT_IN["campaign_launch"].inputs["examples"]
    steps = go(BUILT_IN["campaign_launch"], campaign)
    brief = steps["plan"]["input"]["brief"]
    for part in (
        steps["brand"]["output"]["positioning"],
        *steps["content"]["output"]["outline"],
        steps["marketing"]["output"]["summary"],
    ):
        assert part in brief
    assert steps["approve"]["input"]["message"].startswith(f"Launch the campaign for {campaign['company']}? ")
    assert steps["brand"]["output"]["taglines"][0] in steps["publish"]["input"]["brief"]


def test_a_too_long_text_is_omitted_and_the_rest_stays() -> None:
    steps = go(BUILT_IN["support_triage"], {"message": "How much?", "name": "n" * 200}, at_length)
    answer = steps["answer"]["input"]
    assert answer["topic"] == "Answer to a visitor"
    assert answer["brief"].startswith("They wrote: How much?\nWhat we found: ")


@pytest.mark.parametrize(
    "budget", ["$18,000", "18,000", "20k", "€ 5k", "1.5m", "5 K", "18000 USD", "2 million", 0, 1.5]
)
def test_a_leads_budget_may_be_a_text(budget: Any) -> None:
    steps = go(BUILT_IN["lead_intake"], {"message": "A shop.", "budget": budget})
    assert steps["qualify"]["input"]["budget"] == budget


@pytest.mark.parametrize(
    ("name", "inputs", "field"),
    [
        ("lead_intake", {"lead_id": "7"}, "inputs.lead_id"),
        ("lead_intake", {"message": " \n"}, "inputs.message"),
        ("lead_intake", {"message": "m", "email": "ada"}, "inputs.email"),
        ("lead_intake", {"message": "m", "budget": "much"}, "inputs.budget"),
        ("lead_intake", {"message": "m", "budget": -1}, "inputs.budget"),
        ("campaign_launch", {"company": " ", "product": "p", "monthly_budget": 9}, "inputs.company"),
        ("campaign_launch", {"company": "c", "product": "p", "monthly_budget": 0.001}, "inputs.monthly_budget"),
        ("support_triage", {"message": "\u3000"}, "inputs.message"),
    ],
)
def test_inputs_invalid_for_a_step_are_refused_at_once(name: str, inputs: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_inputs(BUILT_IN[name], inputs)
    assert [detail.field for detail in raised.value.details] == [field]


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_patterns_of_the_inputs_work_in_browsers_too(name: str) -> None:
    schema = BUILT_IN[name].inputs
    assert schema is not None
    patterns = [field["pattern"] for field in schema["properties"].values() if "pattern" in field]
    assert patterns
    assert not any("(?" in pattern for pattern in patterns)
