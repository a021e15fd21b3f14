"""Messages of validation errors."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import _pydantic_core

from pixelbloom.agents import registry
from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import InvalidInput


def refuse(_: int) -> int:
    raise ValueError("Must be a day that there is.")


class Form(BaseModel, extra="forbid"):
    text: str = Field("aa", min_length=1, max_length=3)
    longer: str = Field("aaaa", min_length=4)
    whole: int = Field(1, ge=1, le=9)
    amount: Decimal = Field(Decimal(1), gt=0, lt=10)
    items: list[int] = Field([1], min_length=1, max_length=2)
    kind: Literal["a", "b"] = "a"
    flag: bool = True
    id: UUID | None = None
    inner: dict[str, int] = {}
    form: str = Field("a", pattern="^[a-z]$")
    day: Annotated[int, AfterValidator(refuse)] | None = None
    most: Annotated[Decimal, BeforeValidator(lambda value: value), Field(le=Decimal("1e10"))] = Decimal(1)
    cents: Decimal = Field(Decimal(1), ge=Decimal("0.01"), max_digits=9)
    large: float = Field(1, le=1e15)
    part: float = Field(1, ge=0.5)
    url: Annotated[str | None, BeforeValidator(lambda value: value), Field(max_length=3)] = None
    fields: dict[str, int] = Field({}, max_length=1)
    on: date | None = None
    at: datetime | None = None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"text": 7}, "must be text"),
        ({"text": ""}, "must not be empty"),
        ({"text": "aaaa"}, "must have at most 3 characters"),
        ({"longer": "a"}, "must have at least 4 characters"),
        ({"whole": "x"}, "must be a whole number"),
        ({"whole": 1.5}, "must be a whole number"),
        ({"whole": 0}, "must be 1 or more"),
        ({"whole": 10}, "must be 9 or less"),
        ({"amount": 0}, "must be greater than 0"),
        ({"amount": 10}, "must be less than 10"),
        ({"amount": "x"}, "must be a number"),
        ({"items": 7}, "must be a list"),
        ({"items": []}, "must not be empty"),
        ({"items": [1, 2, 3]}, "must have at most 2 items"),
        ({"kind": "c"}, "must be a or b"),
        ({"flag": "maybe"}, "must be true or false"),
        ({"id": "x"}, "must be a UUID"),
        ({"inner": []}, "must be an object"),
        ({"form": "7"}, "must match the required format"),
        ({"more": 1}, "is unknown"),
        ({"day": 7}, "must be a day that there is"),
        ({"most": Decimal("1e11")}, "must be 10000000000 or less"),
        ({"cents": 0}, "must be 0.01 or more"),
        ({"cents": 1234567890}, "must have at most 9 digits"),
        ({"large": 1e16}, "must be 1000000000000000 or less"),
        ({"part": 0.25}, "must be 0.5 or more"),
        ({"whole": "9" * 5000}, "must be a whole number of fewer digits"),
        ({"url": "aaaa"}, "must be at most 3 long"),
        ({"fields": {"a": 1, "b": 2}}, "must have at most 1 field"),
        ({"on": "2026-13-45"}, "must be a date like 2026-01-31"),
        ({"at": "noon"}, "must be a time in ISO 8601, like 2026-01-31T12:00:00Z"),
    ],
)
def test_each_error_completes_a_sentence_after_the_fields_name(value: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Form.model_validate(value)
    assert sentence(raised.value.errors()[0]) == said  # type: ignore[arg-type]


OWN = ("value_error", "assertion_error")
ALL = [known for known in _pydantic_core.list_all_errors() if known["type"] not in OWN]
PYTHON = re.compile(
    r"input|valid|dict|tuple|set\b|object has|string|integer|instance|Decimal|python|pydantic|none\b|_", re.I
)


@pytest.mark.parametrize("known", ALL, ids=[known["type"] for known in ALL])
def test_no_pydantic_error_has_its_original_message(known: Any) -> None:
    context = {name: value or "'a'" for name, value in (known.get("example_context") or {}).items()}
    said = sentence({"type": known["type"], "msg": known["example_message_python"], "ctx": context})

    assert re.match(r"(must|is|has) ", said)
    assert not PYTHON.search(said)
    assert said[-1] not in ".;,: "


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("", "must match the required format"),
        ("must be short.;", "must be short"),
        ("URLs must be short..", "URLs must be short"),
    ],
)
def test_messages_of_our_validators_are_unchanged_without_the_full_stop(message: str, said: str) -> None:
    assert sentence({"type": "value_error", "msg": f"Value error, {message}"}) == said


#: One of each sort for every field of every agent.
TEXTS = ("", "x" * 20_000, "9" * 5000, "2026-13-45")
VALUES: list[Any] = [*TEXTS, None, True, -1, 1.5, 10**40, [], [1] * 2000, {}, {"x": 1}]


def refusals(agent: Any) -> Iterator[InvalidInput]:
    """Yield the errors of the agent for its example with each field invalid in each way."""
    (shown, *_) = agent.input.model_json_schema()["examples"]
    for changed in [{}, *({**shown, name: value} for name in (*agent.input.model_fields, "more") for value in VALUES)]:
        try:
            agent.validate(changed)
        except InvalidInput as error:
            yield error


@pytest.mark.parametrize("agent", registry.all(), ids=lambda agent: agent.agent_type)
def test_each_invalid_agent_input_has_a_sentence_about_a_field(agent: Any) -> None:
    found = list(refusals(agent))

    assert found
    for refusal in found:
        first = refusal.details[0]
        assert refusal.message == f"The input of {agent.agent_type} is invalid: {first.field} {first.message}."
        for detail in refusal.details:
            assert re.fullmatch(r"input(\.\w+)*", detail.field)
            assert re.match(r"(must|is|has) ", detail.message), detail
            assert not re.search(r"input should|valid|dict|Decimal|\.0 |[.;,]$", detail.message), detail
