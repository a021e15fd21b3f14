"""What an expression reads is known before it runs, and it reads nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.errors import InvalidInput
from pixelbloom.workflows.definition import AgentStep
from pixelbloom.workflows.expressions import ExpressionError, evaluate, names, uses
from pixelbloom.workflows.reading import read_definition


def three(when: str) -> dict[str, Any]:
    """A map `m` and a step `b`, and a third that has the condition and needs both."""
    chat = {"agent": "chat_agent", "input": {"message": "inputs.message"}}
    return {
        "workflow_id": "test",
        "steps": [
            {"key": "m", "kind": "map", "over": "inputs.list", **chat},
            {"key": "b", **chat},
            {"key": "c", "needs": ["m", "b"], "when": when, **chat},
        ],
    }


@pytest.mark.parametrize(
    "when",
    [
        "outputs.m",
        "outputs.m[0]",
        "outputs.m[-1].reply",
        "outputs.m[*].reply",
        "outputs.m[].reply",
        "outputs.m[:2].reply",
        "outputs.m[?needs_human].reply",
        "outputs.m[*].reply | [0]",
        "outputs.m.*",
        'outputs."m"',
        "[outputs.m, `1`]",
        "{x: outputs.m}",
        "map(&reply, outputs.m)",
        "!(outputs.m) || steps.m.status == 'failed'",
        "inputs.list[?steps == outputs].inputs && outputs.m",
    ],
)
def test_a_steps_output_may_be_read_by_each_jmespath_form(when: str) -> None:
    step = read_definition(three(when)).steps[2]
    assert uses(step) == {"m"}


@pytest.mark.parametrize("when", ["*", "*.m", "[0]", "[*]", "[]", "[1:]", "[?outputs]", "@", "@.outputs.m", "keys(@)"])
def test_reading_the_whole_context_is_refused(when: str) -> None:
    with pytest.raises(InvalidInput, match="reads @, the whole context"):
        read_definition(three(when))


@pytest.mark.parametrize(
    "when", ["outputs", "outputs.*", "outputs[0]", "outputs.[m]", "outputs.{x: m}", "outputs | m", "steps.length(m)"]
)
def test_reading_unnamed_steps_is_refused(when: str) -> None:
    with pytest.raises(InvalidInput, match="as a whole"):
        read_definition(three(when))


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("outputs.c", "of this step itself"),
        ("outputs.d", "starts after this step"),
        ("outputs.e", "add e to its needs"),
    ],
)
def test_reading_a_step_that_has_not_ended_is_refused_with_the_reason(when: str, words: str) -> None:
    body = three(when)
    body["steps"] += [{**body["steps"][1], "key": "d", "needs": ["c"]}, {**body["steps"][1], "key": "e"}]
    with pytest.raises(InvalidInput, match=words):
        read_definition(body)


@pytest.mark.parametrize("field", ["when", "over"])
def test_the_item_of_a_map_is_known_only_in_its_input(field: str) -> None:
    body = three("outputs.m")
    body["steps"][0]["input"] = {"message": "item.text"}
    read_definition(body)
    body["steps"][0][field] = "item.more"
    with pytest.raises(InvalidInput, match=f"steps.0.{field} reads item, which is unknown"):
        read_definition(body)


FIELDS = st.sampled_from(["inputs", "outputs", "steps", "m", "b", "list", "reply", "status"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, FIELDS).map(".".join),
        inner.flatmap(lambda a: st.sampled_from([f"{a}[*]", f"{a}[]", f"{a}[0]", f"{a}[:1]", f"{a}.*", f"!({a})"])),
        st.tuples(inner, inner).flatmap(
            lambda two: st.sampled_from(
                [
                    "{} | {}",
                    "{} || {}",
                    "{} && {}",
                    "({} == {})",
                    "[{}, {}]",
                    "{{x: {}, y: {}}}",
                    "({})[?{}]",
                    "map(&{1}, {0})",
                    "not_null({}, {})",
                ]
            ).map(lambda form: form.format(*two))
        ),
    )


EXPRESSIONS = st.recursive(st.one_of(FIELDS, st.sampled_from(["outputs.m", "steps.b", "inputs.list", "@"])), _larger)
REPLIES = [{"reply": "hello", "status": 1}, {"reply": "", "m": [1]}]
FULL: dict[str, Any] = {
    "inputs": {"list": [{"m": 1, "b": None}, {"outputs": {"m": "x"}}], "m": 1},
    "outputs": {"m": REPLIES, "b": {"reply": "b", "list": [1]}},
    "steps": {"m": {"status": "completed", "output": REPLIES}, "b": {"status": "skipped", "output": None}},
}


def outcome(expression: str, context: dict[str, Any]) -> Any:
    try:
        return evaluate(expression, context)
    except ExpressionError as error:
        return str(error)


@given(EXPRESSIONS)
def test_an_expression_depends_only_on_the_names_it_reads(expression: str) -> None:
    """The database hands a step the outcomes of the steps that it uses, and no others."""
    try:
        definition = read_definition(three(expression))
    except InvalidInput:
        return
    step = definition.steps[2]
    assert isinstance(step, AgentStep)
    used = uses(step)
    less = {
        "inputs": FULL["inputs"],
        "outputs": {key: value for key, value in FULL["outputs"].items() if key in used},
        "steps": {key: value for key, value in FULL["steps"].items() if key in used},
    }
    assert outcome(expression, less) == outcome(expression, FULL)
    assert all(name in ("inputs", "outputs", "steps") for name, _ in names(expression))
