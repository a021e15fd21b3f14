"""A schema of inputs means what draft 2020-12 says, and neither it nor the inputs can crash or hang the process."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pixelbloom.errors import InvalidInput
from pixelbloom.workflows.definition import Definition
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.reading import read_definition


def workflow(schema: dict[str, Any]) -> Definition:
    step = {"key": "a", "agent": "chat_agent", "input": {"message": "inputs.message"}}
    return read_definition({"workflow_id": "test", "inputs": schema, "steps": [step]})


def details_of(schema: dict[str, Any], inputs: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as raised:
        check_inputs(workflow(schema), inputs)
    return {detail.field: detail.message for detail in raised.value.details}


@pytest.mark.parametrize(
    ("schema", "place", "words"),
    [
        ({"minProperties": "x"}, "inputs.minProperties", "not a JSON Schema"),
        ({"properties": {"m": {"pattern": "("}}}, "inputs.properties.m.pattern", "not a JSON Schema"),
        ({"properties": {"m": {"pattern": "(?=a)b"}}}, "inputs.properties.m.pattern", "look-around"),
        ({"properties": {"m": {"pattern": "x" * 501}}}, "inputs.properties.m.pattern", "500"),
        ({"properties": {f"p{n}": {"pattern": f"{n}"} for n in range(51)}}, "inputs", "50 different patterns"),
        ({"properties": {f"p{n}": {} for n in range(500)}}, "inputs", "500 schemas"),
        ({"$ref": "#/$defs/no"}, "inputs", "$ref to no schema"),
        ({"$ref": "#name"}, "inputs", "$ref to no schema"),
        ({"$ref": "https://example.com/schema"}, "inputs", "$ref to no schema"),
        ({"items": {"$ref": "#/examples/0"}, "examples": [{}]}, "inputs.items", "$ref to no schema"),
        ({"$dynamicRef": "#"}, "inputs", "use $ref"),
        ({"$ref": "#"}, "inputs", "without end"),
        ({"allOf": [{"anyOf": [{"$ref": "#/$defs/a"}]}], "$defs": {"a": {"not": {"$ref": "#"}}}}, "inputs", "without"),
        ({"patternProperties": {"^x": {}}}, "inputs", "propertyNames"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "inputs", "unsupported $schema"),
        ({"items": {"$id": "https://example.com/"}}, "inputs.items", "outermost"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "inputs.items", "outermost"),
    ],
)
def test_an_unsupported_schema_is_refused(schema: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        workflow(schema)
    found = {detail.field: detail.message for detail in reversed(raised.value.details)}
    assert words in found[place]


@pytest.mark.parametrize(
    ("schema", "inputs", "field", "words"),
    [
        ({"required": ["a", "b"]}, {}, "inputs.b", "is required"),
        ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, "inputs.a.b", "is required"),
        ({"properties": {"m": False}}, {"m": 1}, "inputs", "not allowed"),
        ({"properties": {"m": {"pattern": "^a$"}}}, {"m": "b"}, "inputs.m", "required format"),
        ({"properties": {"m": {"exclusiveMinimum": 0}}}, {"m": 0}, "inputs.m", "exclusiveMinimum 0"),
        ({"properties": {"m": {"uniqueItems": True}}}, {"m": [1, {"a": 1}, {"a": 1.0}]}, "inputs.m", "item twice"),
        ({"additionalProperties": False}, {"m": 1}, "inputs", "allows no fields"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "inputs", "the rule dependentRequired"),
        ({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"maxProperties": 0}}}, {"m": 1}, "inputs", "maxProperties 0"),
        ({"$id": "https://example.com/", "$ref": "#/not", "not": {"type": "object"}}, {}, "inputs", "the rule not"),
    ],
)
def test_invalid_inputs_have_a_plain_message(
    schema: dict[str, Any], inputs: dict[str, Any], field: str, words: str
) -> None:
    assert words in details_of(schema, inputs)[field]


def test_equal_items_are_those_that_json_schema_calls_equal() -> None:
    definition = workflow({"properties": {"m": {"uniqueItems": True}}})
    check_inputs(definition, {"m": [1, True, 0, False, "1", [1], [True], None]})
    with pytest.raises(InvalidInput):
        check_inputs(definition, {"m": [[1], [1.0]]})


def test_a_reference_to_the_whole_schema_is_checked_by_the_same_rules() -> None:
    """With its $schema, jsonschema would go on with a validator of its own, without our bounds."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"c": {"$ref": "#"}}}
    assert details_of({**schema, "required": ["m"]}, {"m": 1, "c": {}}) == {"inputs.c.m": "is required"}


def test_invalid_values_are_not_repeated_and_errors_are_limited() -> None:
    schema = {"additionalProperties": {"type": "integer", "enum": [1]}}
    with pytest.raises(InvalidInput) as raised:
        check_inputs(workflow(schema), {f"k{n}": "secret" * 1000 for n in range(100)})
    assert len(raised.value.details) == 20
    assert not any("secret" in detail.message for detail in raised.value.details)
    assert "secret" not in raised.value.message


def test_a_schema_that_refers_to_itself_level_by_level_is_accepted() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "additionalProperties": {"$ref": "#"}}
    tree: dict[str, Any] = {}
    for _ in range(60):
        tree = {"a": tree}
    check_inputs(workflow({**schema, "type": "object"}), tree)
    assert details_of({**schema, "type": "object"}, {"a": {"b": 1}}) == {"inputs.a.b": "must be of type object"}


DOUBLING = {
    "$ref": "#/$defs/d20",
    "$defs": {"d0": {}, **{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, 21)}},
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("schema", "inputs", "taken"),
    [
        (DOUBLING, {}, False),
        ({"properties": {"m": {"pattern": "^(a+)+$"}}}, {"m": "a" * 5000 + "!"}, False),
        ({"properties": {"m": {"uniqueItems": True}}}, {"m": [{"a": n} for n in range(30_000)]}, True),
    ],
)
def test_the_time_of_a_check_is_bounded(schema: dict[str, Any], inputs: dict[str, Any], taken: bool) -> None:
    definition = workflow(schema)
    begun = time.process_time()
    if taken:
        check_inputs(definition, inputs)
    else:
        with pytest.raises(InvalidInput):
            check_inputs(definition, inputs)
    assert time.process_time() - begun < 10


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 1.5, "", "a", "ab"])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", "array", "string", "integer", ["number", "null"]]),
        "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
        "uniqueItems": st.booleans(),
        "pattern": st.sampled_from(["^a", "b$", "a|b"]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "minLength": st.integers(0, 2),
    },
)
SCHEMAS = st.recursive(
    RULES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2)}),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"additionalProperties": inner, "propertyNames": inner}),
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3))
def test_inputs_are_accepted_if_jsonschema_accepts_them(schema: dict[str, Any], inputs: dict[str, Any]) -> None:
    try:
        check_inputs(workflow(schema), inputs)
        taken = True
    except InvalidInput:
        taken = False
    assert taken == Draft202012Validator(schema).is_valid(inputs)
