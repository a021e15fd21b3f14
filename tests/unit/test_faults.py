"""What Pydantic finds wrong is told in the API's words."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from pixelbloom.faults import sentence


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
        ({"form": "7"}, "has not the right form"),
        ({"more": 1}, "is not known here"),
        ({"day": 7}, "must be a day that there is"),
    ],
)
def test_each_fault_is_a_sentence_after_the_fields_name(value: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Form.model_validate(value)
    assert sentence(raised.value.errors()[0]) == said  # type: ignore[arg-type]
