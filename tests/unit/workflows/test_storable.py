"""Workflows, their inputs and results of expressions contain only storable values."""

import json
from typing import Any

import pytest

from pixelbloom.errors import InvalidInput, StepRejected
from pixelbloom.workflows.expressions import MAX_OUTPUT, render
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.reading import read_definition

NUL, HALF = "\x00", "\ud800"


def body(**step: Any) -> dict[str, Any]:
    step = {"key": "a", "agent": "chat_agent", "input": {"message": "inputs.message"}, **step}
    return {"workflow_id": "test", "steps": [step]}


def deep(levels: int) -> Any:
    value: Any = "inputs.x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("step", "place", "words"),
    [
        ({"title": f"x{NUL}"}, "steps.0.title", "NUL"),
        ({"title": HALF}, "steps.0.title", "lone surrogate"),
        ({HALF: 1}, "steps.0", "lone surrogate"),
        ({"input": {"message": {"k" * 150 + NUL: "inputs.x"}}}, "steps.0.input.message", "NUL"),
        ({"input": {"message": float("inf")}}, "steps.0.input.message", "too large"),
        ({"input": {"message": float("nan")}}, "steps.0.input.message", "too large"),
        ({"input": {"message": 10**400}}, "steps.0.input.message", "too large"),
        ({"input": {"message": deep(3000)}}, "body", "nested too deeply"),
        ({"input": {"message": r'`"\u0000"`'}}, "steps.0.input.message", "NUL"),
        ({"input": {"message": r'`["\ud800"]`'}}, "steps.0.input.message", "lone surrogate"),
        ({"input": {"message": r'{"\u0000": inputs.x}'}}, "steps.0.input.message", "NUL"),
        ({"input": {"message": f"'{'x' * 1000}'"}}, "steps.0.input.message", "more than 1000 characters"),
    ],
)
def test_a_definition_contains_only_storable_values(step: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_definition(body(**step))
    [detail] = raised.value.details
    assert detail.field == place
    assert words in detail.message
    raised.value.message.encode()


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"a": {"b": [NUL]}}, "inputs.a.b.0"),
        ({f"a{HALF}": 1}, "inputs"),
        ({"a": float("inf")}, "inputs.a"),
        ({"a": deep(3000)}, "inputs"),
    ],
)
def test_inputs_contain_only_storable_values_with_any_schema(inputs: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_inputs(read_definition(body()), inputs)
    assert [detail.field for detail in raised.value.details] == [field]


@pytest.mark.parametrize(
    ("character", "fits"), [("a", MAX_OUTPUT - 2), ("\x01", MAX_OUTPUT // 6 - 2), ("\U0001f600", MAX_OUTPUT // 4 - 2)]
)
def test_the_result_of_an_expression_is_counted_in_bytes_of_json(character: str, fits: int) -> None:
    text = render("inputs.x", {"inputs": {"x": character * fits}}, "a.input")
    assert len(json.dumps(text, ensure_ascii=False).encode()) <= MAX_OUTPUT
    with pytest.raises(StepRejected, match=r"a\.input returns more than 256 KiB"):
        render("inputs.x", {"inputs": {"x": character * (fits + 4)}}, "a.input")


def test_the_expressions_of_one_input_share_their_limits() -> None:
    context = {"inputs": {"x": "y" * 100_000, "list": [1] * 20_000}}
    with pytest.raises(StepRejected, match=r"a\.input\.c returns more than 256 KiB"):
        render(dict.fromkeys("abcd", "inputs.x"), context, "a.input")
    with pytest.raises(StepRejected, match="too many steps"):
        render({f"f{n}": "max(inputs.list)" for n in range(30)}, context, "a.input")
