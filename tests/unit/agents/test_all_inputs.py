"""What holds for the inputs and drafts of each of the nine agents, most made up by hypothesis from its schema."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pixelbloom.agents.base import example
from pixelbloom.errors import InvalidInput
from tests.unit.agents.each import HALF, each_agent, each_structured, fallback
from tests.unit.agents.inputs import inputs, validator


@each_agent
def test_an_unknown_field_is_an_error_that_names_it_and_the_known_ones(agent):
    with pytest.raises(InvalidInput) as caught:
        agent.validate({**example(agent.input), "buget": 5})

    [detail] = caught.value.details
    assert detail.field == "input.buget"
    assert next(iter(agent.input.model_fields)) in detail.message


@each_agent
@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["nul", "surrogate"])
def test_text_that_cannot_be_stored_is_refused_by_field(agent, text):
    name = next(name for name, value in example(agent.input).items() if isinstance(value, str))

    with pytest.raises(InvalidInput) as caught:
        agent.validate({**example(agent.input), name: text})

    assert caught.value.details[0].field == f"input.{name}"


@each_agent
@pytest.mark.parametrize("input", [{}, {"": None}, {"a": [[[]]]}], ids=["empty", "blank", "junk"])
def test_an_empty_input_is_refused(agent, input):
    with pytest.raises(InvalidInput) as caught:
        agent.validate(input)

    assert caught.value.details
    assert all(detail.field.startswith("input") for detail in caught.value.details)


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@each_agent
@settings(max_examples=HALF, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_every_input_valid_by_its_schema_is_accepted_and_handled_by_the_rules(agent, data):
    input = data.draw(inputs(agent.input))
    agent.validate(input)

    output = fallback(agent, input)

    agent.output.model_validate(output)
    assert finite(output)
    json.dumps(output, allow_nan=False).encode()
    assert output == fallback(agent, input)
    assert agent.messages(agent.input.model_validate(input))


_ODD = st.sampled_from([None, True, 0, -1, 2.5, "", " ", "a\0", "1", "x", 10**12, [], [None], {}, {"a": "b"}])


@each_agent
@settings(max_examples=HALF, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_its_schema_and_its_validators_refuse_the_same(agent, data):
    """An input of the schema with some of its fields left out or made odd."""
    input = data.draw(inputs(agent.input))
    for name in data.draw(st.lists(st.sampled_from([*agent.input.model_fields, "other"]), max_size=3, unique=True)):
        input.pop(name, None)
        if data.draw(st.booleans()):
            input[name] = data.draw(_ODD)

    try:
        agent.validate(input)
    except InvalidInput:
        taken = False
    else:
        taken = True

    assert taken is validator(agent.input).is_valid(input)


@each_structured
@settings(max_examples=HALF, deadline=None)
@given(data=st.data())
def test_every_valid_draft_makes_an_output(agent, data):
    draft = data.draw(inputs(agent.draft))
    try:
        checked = agent.draft.model_validate(draft)
    except ValueError:
        assume(False)

    output = agent.compose(checked, agent.input.model_validate(example(agent.input)))

    agent.output.model_validate(output.model_dump(mode="json"))


@each_structured
def test_a_too_long_draft_is_shortened_and_not_refused(agent):
    schema = agent.draft.model_json_schema()
    long = {
        name: "x" * 9000 if part.get("type") == "string" else ["y" * 9000] * 50
        for name, part in schema["properties"].items()
        if part.get("type") == "string" or part.get("items", {}).get("type") == "string"
    }
    rest = {name: [] if part.get("type") == "array" else 0 for name, part in schema["properties"].items()}

    draft = agent.draft.model_validate({**rest, **long})

    assert all(len(value) <= 4000 for value in draft.model_dump().values() if isinstance(value, str))
