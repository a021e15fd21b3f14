"""The structure of a definition."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, field_validator

MAX_STEPS = 100
MAX_ITEMS = 1000
MAX_ERRORS = 20
MAX_LENGTH = 1000
DAY = 24 * 3600.0

WorkflowId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LENGTH)]
#: An object whose strings are expressions, or one expression that returns an object.
Template = dict[str, Any] | Expression


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Retry(_Part):
    """The number of attempts, and the seconds before the second attempt, doubled for each further one."""

    attempts: int = Field(3, ge=1, le=20)
    backoff: float = Field(1, ge=0, le=3600)


class _Step(_Part):
    key: Key
    title: str | None = Field(None, max_length=200)
    needs: tuple[Key, ...] = Field((), max_length=MAX_STEPS)
    when: Expression | None = None
    on_error: Literal["fail", "continue"] = "fail"


class _Work(_Step):
    agent: str = Field(validation_alias=AliasChoices("agent", "agent_type"), max_length=100)
    input: Template
    retry: Retry = Retry()
    timeout: float | None = Field(None, gt=0, le=3600)

    @field_validator("input", mode="before")
    @classmethod
    def _template(cls, value: Any) -> Any:
        if not isinstance(value, dict | str):
            raise ValueError("must be an object, or an expression that returns one")
        return value


class AgentStep(_Work):
    """A step that runs an agent."""

    kind: Literal["agent"] = "agent"


class MapStep(_Work):
    """Runs an agent for each item of a list. Its output is the list of their outputs, in order."""

    kind: Literal["map"]
    over: Expression
    max_parallel: int = Field(5, ge=1, le=50)


class ApprovalStep(_Step):
    """A step that a person approves or rejects, within `timeout` seconds."""

    kind: Literal["approval"]
    message: Expression
    timeout: float = Field(7 * DAY, gt=0, le=90 * DAY)
    approvers: Literal["owner", "admin"] = "owner"


Step = AgentStep | MapStep | ApprovalStep
_KINDS: dict[str, type[AgentStep] | type[MapStep] | type[ApprovalStep]] = {
    "agent": AgentStep,
    "map": MapStep,
    "approval": ApprovalStep,
}


class Definition(_Part):
    """A workflow. `inputs` is the JSON Schema of its inputs, if any."""

    workflow_id: WorkflowId
    description: str = Field("", max_length=2000)
    inputs: dict[str, Any] | None = None
    steps: tuple[Step, ...]


def read_step(step: Any) -> Step:
    """Parse one step from JSON. Raises ValueError, which includes Pydantic's ValidationError."""
    if not isinstance(step, dict):
        raise ValueError("must be an object")
    kind = step.get("kind", "agent")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"has an unknown kind; known are {', '.join(_KINDS)}")
    return _KINDS[kind].model_validate(step)
