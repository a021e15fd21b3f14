"""Valid definitions, and the errors of invalid ones."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.errors import InvalidInput
from pixelbloom.workflows.builtin import builtin
from pixelbloom.workflows.definition import Definition, MapStep
from pixelbloom.workflows.expressions import uses
from pixelbloom.workflows.graph import edges, order, successors
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.reading import read_definition


def chat(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "agent": "chat_agent", "needs": list(needs), "input": {"message": "inputs.message"}, **more}


def ask(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "approval", "needs": list(needs), "message": "'May I?'", **more}


def read(*steps: Any, **more: Any) -> Definition:
    return read_definition({"workflow_id": "test", "steps": list(steps), **more})


def details_of(*steps: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as raised:
        read(*steps, **more)
    assert raised.value.details
    return {detail.field: detail.message for detail in raised.value.details}


def test_a_definition_is_parsed_with_its_defaults() -> None:
    definition = read(chat("a"), chat("b", "a"), ask("c"))
    a, _, c = definition.steps
    assert (a.kind, a.on_error, a.retry.attempts, a.retry.backoff, a.timeout) == ("agent", "fail", 3, 1, None)  # type: ignore[union-attr]
    assert (c.timeout, c.approvers) == (7 * 24 * 3600, "owner")  # type: ignore[union-attr]


def test_the_agent_may_be_called_agent_type() -> None:
    step = chat("a")
    step["agent_type"] = step.pop("agent")
    assert read(step) == read(chat("a"))


def test_a_definition_survives_a_json_round_trip() -> None:
    for definition in builtin():
        assert read_definition(definition.model_dump(mode="json", exclude_none=True)) == definition


@pytest.mark.parametrize(
    ("steps", "place", "words"),
    [
        ([], "steps", "1 to 100"),
        ([chat(f"s{n}") for n in range(101)], "steps", "1 to 100"),
        (["a"], "steps.0", "object"),
        ([chat("a", kind="loop")], "steps.0", "agent, map, approval"),
        ([chat("A b")], "steps.0.key", "lower-case letters"),
        ([{"agent": "chat_agent", "input": {}}], "steps.0.key", "required"),
        ([chat("a", more=1)], "steps.0.more", "unknown"),
        ([chat("a", input=7)], "steps.0.input", "object"),
        ([chat("a", agent="no_agent")], "steps.0.agent", "lead_agent"),
        ([chat("a", retry={"attempts": 0})], "steps.0.retry.attempts", "must be 1 or more"),
        ([chat("a", retry={"attempts": 99})], "steps.0.retry.attempts", "must be 20 or less"),
        ([chat("a", timeout=0)], "steps.0.timeout", "greater than 0"),
        ([chat("a", on_error="ignore")], "steps.0.on_error", "must be fail or continue"),
        ([chat("a"), chat("a")], "steps.1.key", "another step"),
        ([chat("a", "b")], "steps.0.needs.0", "names no step: b"),
        ([chat("a", "a")], "steps.0.needs", "a needs a"),
        ([chat("a"), chat("b", "a", "a")], "steps.1.needs.1", "names a twice"),
        ([chat("a", "c"), chat("b", "a"), chat("c", "b")], "steps.0.needs", "cycle: a needs c needs b needs a"),
        ([chat("a", when="inputs..x")], "steps.0.when", "not a JMESPath expression at character 8"),
        ([chat("a", when="x" * 1001)], "steps.0.when", "1000"),
        ([chat("a", when=" || ".join(["inputs.a"] * 80))], "steps.0.when", "more than 200 parts"),
        ([chat("a", when="no_such(inputs)")], "steps.0.when", "not a JMESPath function"),
        ([chat("a", when="outputs.b.x")], "steps.0.when", "there is no such step"),
        ([chat("a"), chat("b", when="outputs.a.x")], "steps.1.when", "add a to its needs"),
        ([chat("a", when="outputs")], "steps.0.when", "name the step"),
        ([chat("a", when="!outputs.a")], "steps.0.when", "name the step"),
        ([chat("a", when="qualify.score")], "steps.0.when", "known are inputs, outputs, steps"),
        ([chat("a", when="@")], "steps.0.when", "reads @"),
        ([chat("a", input={"message": "item"})], "steps.0.input.message", "reads item"),
        ([chat("a", input={"text": "inputs.x"})], "steps.0.input.text", "it takes message"),
        ([chat("a", input={})], "steps.0.input", "lacks message"),
        ([chat("a", kind="map", over="")], "steps.0.over", "must not be empty"),
        ([chat("a", kind="map", over="inputs.x", max_parallel=51)], "steps.0.max_parallel", "50"),
        ([ask("a", timeout=1e9)], "steps.0.timeout", "or less"),
        ([ask("a", approvers="everybody")], "steps.0.approvers", "must be owner or admin"),
        ([chat("a", title="x\x00")], "steps.0.title", "NUL"),
    ],
)
def test_each_error_is_reported_with_its_path(steps: list[Any], place: str, words: str) -> None:
    found = details_of(*steps)
    assert place in found, found
    assert words in found[place]


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"workflow_id": "No"}, "workflow_id"),
        ({"inputs": {"type": "no type"}}, "inputs.type"),
        ({"inputs": {"$ref": "https://example.com/schema"}}, "inputs"),
        ({"owner": "me"}, "owner"),
        ({"description": "x" * 2001}, "description"),
    ],
)
def test_errors_outside_the_steps_are_reported_too(more: dict[str, Any], place: str) -> None:
    assert place in details_of(chat("a"), **more)


def test_the_steps_used_by_a_step_are_found_in_all_its_expressions() -> None:
    definition = read(
        chat("a"),
        chat("b"),
        chat("c"),
        {
            **chat("m", "a", "b", "c"),
            "kind": "map",
            "over": "outputs.a.services[?contains(@, 'x')]",
            "when": "steps.b.status == 'completed' && !(outputs.c.needs_human)",
            "input": {"message": "join(' ', [item, to_string(index), inputs.outputs])"},
        },
    )
    step = definition.steps[3]
    assert isinstance(step, MapStep)
    assert uses(step) == {"a", "b", "c"}


def test_linear_segments_are_paths_of_agents_without_forks_or_joins() -> None:
    definition = read(
        chat("a"), chat("b", "a"), chat("c", "b"), chat("d", "c"), chat("e", "c"), ask("p", "d"), chat("z", "p")
    )
    assert successors(definition) == {"a": "b", "b": "c"}


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    size = draw(st.integers(1, 12))
    steps = [
        chat(f"s{n}", *[f"s{m}" for m in draw(st.lists(st.integers(0, n - 1), unique=True, max_size=3)) if n])
        if n
        else chat("s0")
        for n in range(size)
    ]
    return draw(st.permutations(steps))


@given(graphs())
def test_any_acyclic_graph_is_sorted_and_cut_into_paths(steps: list[dict[str, Any]]) -> None:
    definition = read(*steps)
    place = {step.key: n for n, step in enumerate(order(definition.steps))}
    assert sorted(place) == sorted(step["key"] for step in steps)
    for start, end in edges(definition):
        assert place[start] < place[end]
    following = successors(definition)
    assert len(set(following.values())) == len(following)  # nobody follows two
    for key, after in following.items():
        assert [end for start, end in edges(definition) if start == key] == [after]
        assert [start for start, end in edges(definition) if end == after] == [key]


# Inputs


def intake() -> Definition:
    return next(definition for definition in builtin() if definition.workflow_id == "lead_intake")


def test_the_examples_of_the_built_in_workflows_are_valid() -> None:
    for definition in builtin():
        assert definition.inputs is not None
        for example in definition.inputs["examples"]:
            check_inputs(definition, example)


@pytest.mark.parametrize(
    ("inputs", "field", "words"),
    [
        ({"message": 7}, "inputs.message", "type string"),
        ({"message": ""}, "inputs.message", "must not be blank"),
        ({"message": "m", "colour": "red"}, "inputs", "unknown field; known are lead_id, name"),
        ({"message": "m", "goals": ["a", 7]}, "inputs.goals.1", "type string"),
        ({"message": "m", "name": "x\x00"}, "inputs.name", "NUL"),
        ({}, "inputs", "needs lead_id, or message, or company, or goals"),
    ],
)
def test_invalid_inputs_of_a_workflow_are_reported_by_field(inputs: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_inputs(intake(), inputs)
    [detail] = [detail for detail in raised.value.details if detail.field == field]
    assert words in detail.message
