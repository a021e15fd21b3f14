"""The base classes of agents, what a step passes to its agent, and the agent's outcome.

An agent turns an input into an output. Its code always computes numbers and facts from the input; a model writes the
judgement and the text around them. If no model is available, `fallback` writes those by rule.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError

from pixelbloom.agents.conversation_reader import ConversationReader
from pixelbloom.agents.fields import AgentInput, AgentOutput, ProseOutput
from pixelbloom.agents.fields import Draft as DraftModel
from pixelbloom.agents.knowledge.material import material, system
from pixelbloom.agents.lead_reader import LeadReader
from pixelbloom.core.text import clean, clean_text, unstorable
from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import FieldError, InvalidInput, ModelsUnavailable
from pixelbloom.models.control import CallControl
from pixelbloom.models.request import Message, ModelReply, ModelRequest, TokenStream

if TYPE_CHECKING:  # the web tier runs no model and loads no provider
    from pixelbloom.models.manager import ModelManager


@dataclass(frozen=True)
class AgentContext:
    """Everything an agent may use besides its input."""

    run_id: UUID
    step: str
    attempt: int
    user_id: UUID | None
    models: "ModelManager"
    control: CallControl
    stream: TokenStream
    leads: LeadReader
    conversations: ConversationReader


@dataclass(frozen=True)
class AgentOutcome:
    """A finished step's output as plain JSON, and its provider. The fallback has no `model`."""

    output: dict[str, Any]
    provider: Literal["ollama", "huggingface", "fallback"]
    model: str | None
    prompt_tokens: int
    completion_tokens: int


log = structlog.get_logger(__name__)

In = TypeVar("In", bound=AgentInput)
Out = TypeVar("Out", bound=AgentOutput)
Prose = TypeVar("Prose", bound=ProseOutput)
Draft = TypeVar("Draft", bound=DraftModel)

#: What the database stores of a result beside the run: a lead's score and analysis, rows of `service_recommendations`,
#: messages of the conversation that the input names, or a row of `generated_content`.
Writes = Literal["lead_analysis", "recommendations", "reply", "content"]

#: Maximum errors reported for one input.
MAX_ERRORS = 20


class Agent(ABC, Generic[In, Out]):
    """One kind of work. Instances are stateless and shared by threads.

    `step_timeout` and `deadline` are in seconds; `capabilities` are short phrases for people. `writes` says what is
    stored of the result beside the run, in the transaction that completes the step.
    """

    agent_type: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    capabilities: ClassVar[tuple[str, ...]]
    model: ClassVar[str]
    structured: ClassVar[bool]
    writes: ClassVar[Writes | None] = None
    max_tokens: ClassVar[int] = 1024
    temperature: ClassVar[float | None] = None
    step_timeout: ClassVar[float] = 150.0

    input: type[In]
    output: type[Out]

    def deadline(self, model_timeout: float) -> float:
        """Return the seconds for a whole step, given MODEL_TIMEOUT, which each of two providers may use up."""
        return max(self.step_timeout, 2 * model_timeout + 10)

    def validate(self, input: dict[str, Any]) -> dict[str, Any]:
        """Return the input to store. Raises InvalidInput with a FieldError for each invalid field."""
        self._read(input)
        return input

    def run(self, input: dict[str, Any], context: AgentContext) -> AgentOutcome:
        """Run the agent; a missing model is not an error.

        Raises InvalidInput, StepRejected, StepTimeout or StepCancelled.
        """
        prepared = self.prepare(self._read(input), context)
        context.control.check()
        reply: ModelReply | None = None
        try:
            out, reply = self.generate(prepared, context)
        except ModelsUnavailable as error:
            log.warning(
                "agent_fallback_used",
                agent_type=self.agent_type,
                run_id=str(context.run_id),
                step=context.step,
                reason=error.message,
            )
            out = self.fallback(prepared)
        return AgentOutcome(
            output=clean(out.model_dump(mode="json")),
            provider=reply.provider if reply else "fallback",
            model=reply.model if reply else None,
            prompt_tokens=reply.prompt_tokens if reply else 0,
            completion_tokens=reply.completion_tokens if reply else 0,
        )

    def prepare(self, input: In, context: AgentContext) -> In:  # noqa: ARG002  (for those who override it)
        """Load objects that the input refers to. Raises StepRejected if one does not exist."""
        return input

    @abstractmethod
    def messages(self, input: In) -> list[Message]:
        """Return the prompt."""

    @abstractmethod
    def generate(self, input: In, context: AgentContext) -> tuple[Out, ModelReply]:
        """Ask a model. Raises ModelsUnavailable."""

    @abstractmethod
    def fallback(self, input: In) -> Out:
        """Return the output without a model, computed from the input."""

    def request(self, input: In, context: AgentContext) -> ModelRequest:
        """Return the prompt with this agent's settings."""
        return ModelRequest(
            agent_type=self.agent_type,
            messages=tuple(self.messages(input)),
            model=self.model,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            run_id=context.run_id,
        )

    def _read(self, input: dict[str, Any]) -> In:
        errors = list(islice(unstorable(input, "input"), MAX_ERRORS))
        if not errors:
            try:
                return self.input.model_validate(input)
            except ValidationError as error:
                errors = [self._field_error(item) for item in error.errors(include_url=False, include_input=False)]
            except RecursionError:
                errors = [FieldError("input", "is nested too deeply")]
        raise InvalidInput.of(errors[:MAX_ERRORS], f"The input of {self.agent_type} is invalid: ")

    def _field_error(self, error: Any) -> FieldError:
        field = ".".join(("input", *(clean_text(str(part))[:100] for part in error["loc"])))
        if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
            return FieldError(field, f"is not a field of it; it takes {', '.join(self.input.model_fields)}")
        return FieldError(field, clean_text(sentence(error)))


class StructuredAgent(Agent[In, Out], Generic[In, Draft, Out]):
    """An agent whose model writes JSON: a `draft`, which `compose` combines with the computed facts."""

    structured = True

    #: The model's role ("a sales analyst"), its guidelines, and its task.
    role: ClassVar[str]
    guidance: ClassVar[tuple[str, ...]]
    task: ClassVar[str]

    draft: type[Draft]

    @abstractmethod
    def facts(self, input: In) -> dict[str, Any]:
        """Return the facts computed from the input, for the prompt."""

    def shown(self, input: In) -> In:
        """Return the part of the input to show to the model."""
        return input

    def messages(self, input: In) -> list[Message]:
        """Return the rules and the fields of the draft, then the task with the input and the facts as material."""
        fields = "; ".join(f"{name}: {field.description}" for name, field in self.draft.model_fields.items())
        rules = (
            *self.guidance,
            "The numbers under `computed` are right. Use them as they are and invent no others.",
            f"Answer with one JSON object and nothing else. Its fields: {fields}.",
        )
        given = self.shown(input).model_dump(mode="json", exclude_none=True)
        data = material(input=given, computed=self.facts(input))
        return [Message("system", system(self.role, *rules)), Message("user", f"{self.task}\n\n{data}")]

    @abstractmethod
    def rules(self, input: In) -> Draft:
        """Return a draft computed without a model."""

    @abstractmethod
    def compose(self, draft: Draft, input: In) -> Out:
        """Return the output. Every valid draft gives one."""

    def generate(self, input: In, context: AgentContext) -> tuple[Out, ModelReply]:
        """Ask a model for a draft, and compose the output from it."""
        draft, reply = context.models.generate_json(
            self.request(input, context), self.draft, context.control, context.stream
        )
        return self.compose(draft, input), reply

    def fallback(self, input: In) -> Out:
        """Return the output composed from the draft of the rules."""
        return self.compose(self.rules(input), input)


class ProseAgent(Agent[In, Prose], Generic[In, Prose]):
    """An agent whose model writes text for people, streamed as it is generated."""

    structured = False

    @abstractmethod
    def from_text(self, text: str, input: In) -> Prose:
        """Return the output around the model's text."""

    def generate(self, input: In, context: AgentContext) -> tuple[Prose, ModelReply]:
        """Ask a model for text."""
        reply = context.models.generate(self.request(input, context), context.control, context.stream)
        out = self.from_text(reply.text.strip(), input)
        return out.model_copy(update={"truncated": reply.truncated}), reply


def example(model: type[BaseModel]) -> dict[str, Any]:
    """Return the example in a model's schema."""
    extra = model.model_config.get("json_schema_extra")
    assert isinstance(extra, dict)
    examples = extra["examples"]
    assert isinstance(examples, list)
    first = examples[0]
    assert isinstance(first, dict)
    return dict(first)
