"""Shared field types of agents, and the base classes of their schemas.

Callers' values beyond a limit are rejected. A model's values are shortened instead: a long sentence does not make a
reply useless.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from pixelbloom.agents.knowledge.amounts import as_amount
from pixelbloom.agents.knowledge.described import InputJsonSchema, amount_text, number
from pixelbloom.core.absent import NullIsAbsent
from pixelbloom.core.text import shorten


class AgentInput(NullIsAbsent):
    """A caller's input. Unknown fields are an error: a misspelt one must not be ignored silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False, validate_default=False
    )

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema with everything that the validators check."""
        return super().model_json_schema(*args, **{"schema_generator": InputJsonSchema, **kwargs})


class AgentOutput(BaseModel):
    """The stored result of a run, built by our code from computed facts and a validated draft."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProseOutput(AgentOutput):
    """The stored result of an agent whose model writes text."""

    truncated: bool = Field(False, description="Whether the model cut its text off before its end.")


class Draft(BaseModel):
    """What a model is asked to write. Extra fields are dropped; long values are shortened."""

    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


def _cut_text(limit: int) -> Callable[[Any], Any]:
    return lambda value: shorten(value.strip(), limit) if isinstance(value, str) else value


def _cut_list(limit: int) -> Callable[[Any], Any]:
    def cut(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [item for item in value if not isinstance(item, str) or item.strip()][:limit]

    return cut


#: A name, a label.
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
#: A sentence or two from a caller.
Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]
#: A brief from a caller.
Brief = Annotated[str, StringConstraints(min_length=1, max_length=6000)]

#: The same three, written by a model.
DraftLine = Annotated[str, BeforeValidator(_cut_text(500)), Field(min_length=1, max_length=500)]
DraftText = Annotated[str, BeforeValidator(_cut_text(4000)), Field(min_length=1, max_length=4000)]
DraftLines = Annotated[list[DraftLine], BeforeValidator(_cut_list(8)), Field(min_length=1, max_length=8)]

#: Must come after the bounds of a number: before them it would hide them from the schema.
NUMBER = BeforeValidator(number)


def amount_schema(least: float, most: Decimal) -> WithJsonSchema:
    """Return the schema of a number between the two, or a text of one; `0` only as a number."""
    texts = amount_text(most.adjusted())
    numbers = {"type": "number", "minimum": least, "maximum": float(most)}
    return WithJsonSchema({"anyOf": [numbers, {"type": "string", "maxLength": 40, "pattern": texts}]})


#: Amounts in major units of their currency, as numbers or texts. Never stored as a float.
MAX_AMOUNT = Decimal("1e10")
Amount = Annotated[
    Decimal,
    BeforeValidator(as_amount),
    Field(ge=0, le=MAX_AMOUNT, allow_inf_nan=False),
    AfterValidator(lambda value: round(value, 2)),
    amount_schema(0, MAX_AMOUNT),
]
#: At least the smallest unit after rounding.
PositiveAmount = Annotated[Amount, Field(gt=0), amount_schema(0.01, MAX_AMOUNT)]
Money = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
Currency = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z]{3}$")]


def one_of(*choices: str) -> BeforeValidator:
    """Ignore case, spaces and separators in a model's choice; the type still validates it."""
    known = {choice.replace("_", "").replace("-", ""): choice for choice in choices}

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return known.get(value.strip().lower().replace(" ", "").replace("_", "").replace("-", ""), value)

    return BeforeValidator(read)
