"""The schemas of requests and responses about workflows in the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from pixelbloom.agents.knowledge.described import text_pattern
from pixelbloom.core.statuses import RunStatusName
from pixelbloom.database.pagination import MAX_PAGE
from pixelbloom.runs.store import Detail
from pixelbloom.web.http.rendering import Body, CountedPage, JsonObject, Page, Time, Uuid, column
from pixelbloom.web.http.schemas import (
    AcceptedBody,
    CountQuery,
    Limit,
    PageQuery,
    Shape,
    SubmissionTerms,
    example,
    read_count,
)
from pixelbloom.web.runs.schemas import ListedStep, RunState, RunsWanted, StepBody, field_names
from pixelbloom.web.workflows import examples

_NAME = "^[a-z][a-z0-9_]{0,99}$"


class ExecuteRequest(SubmissionTerms):
    """A workflow and its inputs."""

    model_config = example(examples.EXECUTE, extra="forbid", populate_by_name=True)

    workflow_id: str = Field(
        pattern="^[a-z][a-z0-9_]{0,99}(@[1-9][0-9]{0,8})?$",
        description="Its name; with `@` and a number that version, else the newest.",
    )
    inputs: JsonObject = Field(default={}, description="Must match the workflow's `inputs` schema.")
    in_background: Annotated[bool, Field(strict=True)] = Field(
        False, alias="async", description="True: respond at once. False: wait for the end, 30 s or as `Prefer` says."
    )


class ExecuteResponse(AcceptedBody):
    """The accepted run of a workflow."""

    model_config = example(examples.EXECUTED)
    _named, _result = "workflow_run_id", "outputs"

    workflow_run_id: Uuid
    outputs: JsonObject = Field(default={}, description="By step key; only if status is completed.")


class WorkflowRunState(RunState):
    """The fields of a workflow run that lists have as well."""

    workflow_run_id: Uuid
    kind: Literal["workflow"]
    workflow_id: str
    workflow_version: int


class WorkflowRunBody(WorkflowRunState):
    """A run of a workflow, as polled."""

    model_config = example(examples.RUN_OF_WORKFLOW)

    inputs: JsonObject = Field(description="What the workflow works on.")
    outputs: JsonObject | None = Field(description="By step key, once it is completed.")
    steps: list[StepBody]


class ListedWorkflowRun(WorkflowRunState):
    """A run of a workflow in a list: its large fields only if `fields` names them."""

    model_config = example(examples.LISTED_RUN_OF_WORKFLOW)

    inputs: JsonObject = Field(default={}, description="Only if `fields` names `inputs`.")
    outputs: JsonObject | None = Field(default=None, description="Only if `fields` names `outputs`.")
    steps: list[ListedStep]


class WorkflowRunPage(CountedPage[ListedWorkflowRun]):
    """Runs of workflows, newest first."""


#: What `fields` of a list of runs of workflows may name.
WORKFLOW_RUN_FIELDS = {"inputs": Detail.INPUT, "outputs": Detail.RESULT, "steps.output": Detail.STEP_OUTPUTS}


class WorkflowRunQuery(RunsWanted, CountQuery, PageQuery):
    """Which runs to list."""

    status: RunStatusName | None = Field(None, description="Only runs in this state.")
    workflow_id: str | None = Field(None, pattern=_NAME, description="Only runs of this workflow.")
    fields: field_names(WORKFLOW_RUN_FIELDS) = Field(  # type: ignore[valid-type]
        None,
        description="Large fields to show, separated by commas: `inputs`, `outputs`, `steps.output`. A page with them "
        "has fewer than `limit` runs if these are larger than 4 MiB.",
    )


class WorkflowRetryRequest(RunsWanted):
    """The failed runs to retry."""

    model_config = example(examples.RETRY, extra="forbid")

    workflow_id: str | None = Field(None, pattern=_NAME, description="Only runs of this workflow.")
    limit: Annotated[int, BeforeValidator(read_count)] = Field(
        200, ge=1, le=200, description="How many at most, the newest first."
    )


class WorkflowReplayResponse(Body):
    """The new run."""

    model_config = example(examples.REPLAYED)

    id: Uuid
    workflow_run_id: Uuid = column("id")
    status: RunStatusName
    replay_of: Uuid


class DecisionRequest(Shape):
    """A decision about an approval step."""

    model_config = example(examples.DECISION, extra="forbid")

    comment: str = Field(
        "",
        max_length=2000,
        json_schema_extra={"pattern": text_pattern(0)},
        description="Stored with the decision; later steps can read it.",
    )


class ApprovalBody(Body):
    """A step of a workflow run that waits for a decision."""

    model_config = example(examples.APPROVAL)

    id: Uuid
    workflow_run_id: Uuid
    workflow_id: str
    workflow_version: int
    user_id: Uuid | None = Field(description="The owner of the run.")
    key: str = Field(description="The step's key.")
    message: str = Field(description="What to decide.")
    approvers: Literal["owner", "admin"]
    requested_at: Time
    deadline_at: Time = Field(description="The step fails if nobody has decided by then.")


class ApprovalPage(Page[ApprovalBody]):
    """Steps that wait for a decision, those with the earliest deadline first."""


class WorkflowRunPath(Shape):
    """The address of a run of a workflow."""

    workflow_run_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of execute.")


class StepPath(WorkflowRunPath):
    """The address of a step."""

    key: str = Field(description="The step's key.")


class WorkflowRequest(Shape):
    """A new version of a workflow. `docs/workflows.md` describes the steps."""

    model_config = example(examples.DEFINITION, extra="forbid")

    workflow_id: str = Field(pattern=_NAME)
    description: str = Field("", max_length=2000)
    inputs: JsonObject | None = Field(None, description="The JSON Schema of its inputs.")
    steps: list[Any] = Field(min_length=1, max_length=100)


class ValidationRequest(Shape):
    """A definition to check."""

    model_config = example({"definition": examples.DEFINITION}, extra="forbid")

    definition: JsonObject = Field(description="As for `POST /api/agents/workflows`.")


class DefinitionError(Body):
    """An error in a definition."""

    field: str = Field(description="Its place, such as `steps.0.agent`.")
    message: str


class ValidationBody(Body):
    """Whether a definition would be accepted."""

    model_config = example(examples.VALIDATED)

    valid: bool
    details: list[DefinitionError] = Field(description="What is invalid, 20 at most; empty if it is valid.")


class Edge(Body):
    """A step that waits for another."""

    model_config = ConfigDict(populate_by_name=True)

    start: str = Field(alias="from")
    end: str = Field(alias="to")


class WorkflowBody(Body):
    """One version of a workflow."""

    model_config = example(examples.WORKFLOW)

    id: str
    workflow_id: str
    version: int
    description: str
    inputs: JsonObject | None
    steps: list[JsonObject]
    graph: list[Edge]
    created_by: Literal["system", "administrator"]
    created_at: Time
    retired_at: Time | None = Field(description="Since when it accepts no new runs.")


class WorkflowPage(Page[WorkflowBody]):
    """The newest version of each workflow, by name."""


class WorkflowVersions(WorkflowBody):
    """The newest version, and a page of all versions."""

    model_config = example({**examples.WORKFLOW, "versions": [examples.WORKFLOW], "versions_cursor": None})

    versions: list[WorkflowBody] = Field(description="The newest first; at most 4 MiB, at least one.")
    versions_cursor: str | None = Field(description="Pass it as `cursor` for earlier ones; null if there are none.")


class VersionsQuery(Shape):
    """Which part of a workflow's versions."""

    limit: Limit = Field(50, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, pattern="^[1-9][0-9]{0,8}$", description="From `versions_cursor`.")


class WorkflowQuery(Shape):
    """Which part of the list."""

    limit: Limit = Field(50, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, pattern=_NAME, description="From `next_cursor`.")


class WorkflowPath(Shape):
    """A workflow's address."""

    workflow_id: str = Field(description="Its name.")
