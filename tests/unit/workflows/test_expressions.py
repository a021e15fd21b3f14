"""Expressions give what JMESPath says, within bounds."""

import contextlib
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.errors import StepRejected
from pixelbloom.workflows.expressions import ExpressionError, evaluate, holds, render
from pixelbloom.workflows.reading import read_definition
from pixelbloom.workflows.rendering import render as rendered
from tests.unit.workflows.claims import claim

CONTEXT = {"inputs": {"name": "Ada", "n": 3, "words": ["a", "b"]}, "outputs": {"a": None}, "steps": {}}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("inputs.name", "Ada"),
        ("'text'", "text"),
        ("`7`", 7),
        ("inputs.missing", None),
        ("outputs.a.b.c", None),
        ({"a": "inputs.n", "b": [7, True, None, "inputs.words[0]"]}, {"a": 3, "b": [7, True, None, "a"]}),
        ("join(', ', inputs.words)", "a, b"),
    ],
)
def test_a_template_is_rendered(template: Any, value: Any) -> None:
    assert render(template, CONTEXT, "a.input") == value


@pytest.mark.parametrize(
    ("value", "true"),
    [(None, False), (False, False), ("", False), ([], False), ({}, False), (0, True), ("no", True), (True, True)],
)
def test_conditions_follow_jmespaths_truth(value: Any, true: bool) -> None:
    assert holds(value) is true


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("join(', ', inputs.n)", "cannot be evaluated"),
        ("length(inputs.n)", "cannot be evaluated"),
        ("to_number('1e999')", "not JSON"),
        ("sort_by(inputs.words, &@.x)", "cannot be evaluated"),
    ],
)
def test_a_failing_expression_is_reported_with_its_path(expression: str, words: str) -> None:
    with pytest.raises(StepRejected, match=words) as raised:
        render({"message": expression}, CONTEXT, "a.input")
    assert "a.input.message" in raised.value.message


@pytest.mark.parametrize(
    "expression",
    [
        "|".join(["[@,@]"] * 25),
        "|".join(["[@,@]"] * 16) + "|to_string(@)",
        "|".join(["[to_string(@),to_string(@)]"] * 24),
        "|".join(["{a:@,b:@}"] * 22),
        "map(&[@,@,@,@], inputs.big) | map(&[@,@,@,@], @)",
    ],
)
def test_a_short_expression_cannot_produce_a_large_value(expression: str) -> None:
    context = {"inputs": {"big": ["x" * 100] * 20_000}}
    tracemalloc.start()
    try:
        with pytest.raises(ExpressionError):
            evaluate(expression, context)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        evaluate(text, CONTEXT)


def test_a_map_becomes_its_items() -> None:
    definition = read_definition(
        {
            "workflow_id": "test",
            "steps": [
                {
                    "key": "m",
                    "kind": "map",
                    "over": "inputs.words",
                    "agent": "chat_agent",
                    "input": {"message": "join('', [item, to_string(index)])", "history": "inputs.missing"},
                }
            ],
        }
    )
    ending = rendered(claim(definition.steps[0], {"words": ["a", "b"]}, {}))
    assert ending == {"what": "expanded", "items": [{"message": "a0"}, {"message": "b1"}]}
