"""The API document: valid by the standard, complete, and the same as what the code does."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ValidationError

from pixelbloom.agents import registry
from pixelbloom.agents.analytics_fields import Point, Series
from pixelbloom.agents.base import Agent
from pixelbloom.agents.chat import ChatTurn
from pixelbloom.agents.ecommerce_fields import Product
from pixelbloom.core.absent import NullIsAbsent
from pixelbloom.web.app import described
from pixelbloom.web.http.openapi.document import Operation, operations
from pixelbloom.web.leads.schemas import LeadChanges

APP = described()
DOCUMENT: dict[str, Any] = json.loads(json.dumps(APP.api_doc))
#: Addresses of the application that are no operations of the API.
OPERATIONS = [operation for operation in operations(APP) if operation.path in DOCUMENT["paths"]]
#: What a summary begins with; its operationId begins with the same verb.
VERBS = {
    *("create", "list", "get", "update", "delete", "cancel", "retry", "replay"),
    *("invoke", "execute", "approve", "reject", "retire", "analyze", "send", "receive", "redeliver", "release"),
    *("mark", "count", "quote", "check", "stream", "validate"),
}
#: Figures are named by what they show, and are got.
NOUN_FORMS = re.compile(r"^getAnalyticsOverview|^get\w+(Summary|Trends|Metrics|ByPackage|LifetimeValue)$")
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def entry(operation: Operation) -> dict[str, Any]:
    return DOCUMENT["paths"][operation.path][operation.method]


def schemas(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of the document, and everything else that is an object."""
    if isinstance(node, dict):
        yield path, node
        for name, part in node.items():
            if name not in ("example", "examples"):
                yield from schemas(part, f"{path}/{name}")
    elif isinstance(node, list):
        for number, part in enumerate(node):
            yield from schemas(part, f"{path}/{number}")


@pytest.mark.long
def test_an_openapi_validator_finds_no_errors() -> None:
    errors = [
        f"{list(error.absolute_path)}: {error.message}" for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()
    ]

    assert errors == []


def test_no_default_is_null_and_no_field_of_a_body_has_a_default() -> None:
    found = [path for path, schema in schemas(DOCUMENT) if schema.get("default", ...) is None]
    found += [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if "default" in described
    ]

    assert found == []


def test_no_schema_refers_to_itself() -> None:
    def refers(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name in seen:
            return True
        found = DOCUMENT["components"]["schemas"][name]
        inner = {part["$ref"].rpartition("/")[2] for _, part in schemas(found) if isinstance(part.get("$ref"), str)}
        return any(refers(other, seen | {name}) for other in inner)

    assert [name for name in DOCUMENT["components"]["schemas"] if refers(name)] == []


def test_names_of_schemas_are_readable_and_all_used() -> None:
    text = json.dumps(DOCUMENT)
    names = list(DOCUMENT["components"]["schemas"])

    assert [name for name in names if not name.isalnum() or not name[0].isupper()] == []
    assert [name for name in names if f'"#/components/schemas/{name}"' not in text] == []
    assert {"Shape", "StorableValue", "StorableObject"} & set(names) == set()


@each_operation
def test_an_error_is_one_shared_entry(operation: Operation) -> None:
    for status, response in entry(operation)["responses"].items():
        if int(status) >= 400 and (operation.name, status) != ("GET /readyz", "503"):
            assert response.keys() == {"$ref"}, (status, response)
            assert response["$ref"].rpartition("/")[2] in DOCUMENT["components"]["responses"]


def outcome(model: type[BaseModel], value: Any) -> Any:
    try:
        return model.model_validate(value).model_dump()
    except ValidationError:
        return "refused"


def check_nulls(model: type[BaseModel], example: dict[str, Any]) -> None:
    """Each optional field of a model, and of its models, takes null as if it were absent, and its schema says so."""
    assert issubclass(model, NullIsAbsent), f"{model.__name__} must derive from Shape or NullIsAbsent"
    assert outcome(model, example) != "refused", (model, example)
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if not field.is_required():
            rest = {key: value for key, value in example.items() if key != alias}
            assert outcome(model, {**rest, alias: None}) == outcome(model, rest), (model, name)
            described = properties[alias]
            assert described in ({}, {"description": described.get("description")}) or (
                {"type": "null"} in described["anyOf"]
            ), (name, described)


@each_operation
def test_an_optional_field_of_a_body_accepts_null_as_absent_and_documents_it(operation: Operation) -> None:
    model = operation.model("body")
    assert (model is not None) is ("requestBody" in entry(operation))
    if model is not None:
        example = entry(operation)["requestBody"]["content"]["application/json"]["example"]
        check_nulls(model, example)


@pytest.mark.parametrize("agent", registry.all(), ids=lambda agent: agent.agent_type)
def test_an_optional_field_of_an_agents_input_accepts_null_as_absent_and_documents_it(agent: Agent[Any, Any]) -> None:
    for example in agent.input.model_json_schema()["examples"]:
        check_nulls(agent.input, example)


@pytest.mark.parametrize("model", [Point, Series, Product, ChatTurn])
def test_so_does_an_optional_field_of_a_part_of_an_agents_input(model: type[BaseModel]) -> None:
    examples = {
        Point: {"value": 1, "date": "2026-01-31"},
        Series: {"name": "leads", "points": [1, 2, 3]},
        Product: {"name": "Mug", "price": 12},
        ChatTurn: {"role": "user", "content": "Hello"},
    }
    check_nulls(model, examples[model])


def test_null_in_an_update_clears_nullable_fields_and_leaves_the_others_unchanged() -> None:
    changes = LeadChanges.model_validate({"phone": None, "name": None, "status": None, "metadata": None})

    assert changes.model_dump(exclude_unset=True) == {"phone": None}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def test_operation_ids_are_unique_in_camel_and_in_snake_case() -> None:
    ids = [entry(operation)["operationId"] for operation in OPERATIONS]

    assert [name for name in ids if not re.fullmatch("[a-z]+([A-Z][a-z]+)+", name)] == []
    assert len({snake(name) for name in ids}) == len(ids)


@each_operation
def test_its_summary_is_a_standard_verb_and_a_noun_that_match_its_id(operation: Operation) -> None:
    summary, name = entry(operation)["summary"], entry(operation)["operationId"]
    verb = snake(name).partition("_")[0]

    assert re.fullmatch(r"[A-Z][A-Za-z' ]{3,48}[a-z]", summary), summary
    assert verb in VERBS
    if NOUN_FORMS.match(name) and operation.path.startswith("/api/analytics/"):
        assert summary.partition(" ")[0].lower() not in VERBS
    else:
        assert summary.partition(" ")[0].lower() == verb
        assert operation.method != "delete" or verb in ("delete", "retire")
        assert operation.method != "patch" or verb == "update"


@each_operation
def test_its_description_consists_of_complete_sentences(operation: Operation) -> None:
    description = entry(operation)["description"]

    assert re.fullmatch(r"[A-Z`].*[.:]", description, re.DOTALL), description
    assert "<br" not in description


def test_health_and_metrics_come_last() -> None:
    tags = [tag["name"] for tag in DOCUMENT["tags"]]

    assert tags[-2:] == ["Health", "Metrics"]
    assert list(DOCUMENT["paths"])[-3:] == ["/healthz", "/readyz", "/metrics"]
    assert all(tag["description"] for tag in DOCUMENT["tags"])
