"""What an agent is.

An agent turns an input into an output. Numbers and facts are computed from the input by its own code, with or
without a model; a model writes the judgement and the words around them. Where no model answers, `fallback`
writes those by rule.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from pixelbloom.agents.context import AgentContext, AgentOutcome
from pixelbloom.agents.fields import AgentInput, AgentOutput, ProseOutput
from pixelbloom.agents.fields import Draft as DraftModel
from pixelbloom.agents.knowledge.material import material, system
from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import FieldError, InvalidInput, ModelsUnavailable
from pixelbloom.models.request import Message, ModelReply, ModelRequest
from pixelbloom.models.text import clean, clean_text

log = structlog.get_logger(__name__)

In = TypeVar("In", bound=AgentInput)
Out = TypeVar("Out", bound=AgentOutput)
Prose = TypeVar("Prose", bound=ProseOutput)
Draft = TypeVar("Draft", bound=DraftModel)

#: Faults told of one input; a list of ten thousand helps nobody.
MAX_FAULTS = 20


class Agent(ABC, Generic[In, Out]):
    """One kind of work. Instances hold no state and are shared by threads.

    `step_timeout` and what `deadline` gives are in seconds; `capabilities` are short phrases for people.
    """

    agent_type: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    capabilities: ClassVar[tuple[str, ...]]
    model: ClassVar[str]
    structured: ClassVar[bool]
    max_tokens: ClassVar[int] = 1024
    temperature: ClassVar[float | None] = None
    step_timeout: ClassVar[float] = 150.0

    input: type[In]
    output: type[Out]

    def deadline(self, model_timeout: float) -> float:
        """Seconds for a whole step, given MODEL_TIMEOUT: each of two providers may use its own up."""
        return max(self.step_timeout, 2 * model_timeout + 10)

    def validate(self, input: dict[str, Any]) -> dict[str, Any]:
        """The input as it will be stored. Raises InvalidInput with a FieldError for each field at fault."""
        self._read(input)
        return input

    def run(self, input: dict[str, Any], context: AgentContext) -> AgentOutcome:
        """Do the work; the lack of a model is no error.

        Raises InvalidInput, StepRejected, StepTimeout or StepCancelled.
        """
        prepared = self.prepare(self._read(input), context)
        context.control.check()
        reply: ModelReply | None = None
        try:
            out, reply = self.answer(prepared, context)
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
        """Fetch what the input only names. Raises StepRejected where it does not exist."""
        return input

    @abstractmethod
    def messages(self, input: In) -> list[Message]:
        """The prompt."""

    @abstractmethod
    def answer(self, input: In, context: AgentContext) -> tuple[Out, ModelReply]:
        """Ask a model. Raises ModelsUnavailable."""

    @abstractmethod
    def fallback(self, input: In) -> Out:
        """The output without a model, computed from the input."""

    def request(self, input: In, context: AgentContext) -> ModelRequest:
        """The prompt with this agent's settings."""
        return ModelRequest(
            agent_type=self.agent_type,
            messages=tuple(self.messages(input)),
            model=self.model,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            run_id=context.run_id,
        )

    def _read(self, input: dict[str, Any]) -> In:
        faults = [FieldError(path, "must not hold NUL characters or lone surrogates") for path in _unstorable(input)]
        if not faults:
            try:
                return self.input.model_validate(input)
            except ValidationError as error:
                faults = [self._fault(fault) for fault in error.errors(include_url=False, include_input=False)]
            except RecursionError:
                faults = [FieldError("input", "is nested too deeply")]
        first = faults[0]
        raise InvalidInput(
            f"The input of {self.agent_type} is not right: {first.field} {first.message}.", faults[:MAX_FAULTS]
        )

    def _fault(self, fault: Any) -> FieldError:
        field = ".".join(("input", *(clean_text(str(part))[:100] for part in fault["loc"])))
        if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
            return FieldError(field, f"is not a field of it; it takes {', '.join(self.input.model_fields)}")
        return FieldError(field, clean_text(sentence(fault)))


class StructuredAgent(Agent[In, Out], Generic[In, Draft, Out]):
    """An agent whose model writes JSON: a `draft`, which `compose` joins with the computed facts."""

    structured = True

    #: Who the model is ("a sales analyst"), what it must mind, and what it is asked to do.
    role: ClassVar[str]
    guidance: ClassVar[tuple[str, ...]]
    task: ClassVar[str]

    draft: type[Draft]

    @abstractmethod
    def facts(self, input: In) -> dict[str, Any]:
        """What was computed from the input, for the model to build on."""

    def shown(self, input: In) -> In:
        """The part of the input that the model is shown."""
        return input

    def messages(self, input: In) -> list[Message]:
        """The rules and the fields of the draft; then the task, the input and the facts as material."""
        fields = "; ".join(f"{name}: {field.description}" for name, field in self.draft.model_fields.items())
        rules = (
            *self.guidance,
            "The numbers under `computed` are right. Use them as they are and invent no others.",
            f"Answer with one JSON object and nothing else. Its fields: {fields}.",
        )
        given = self.shown(input).model_dump(mode="json", exclude_none=True)
        told = material(input=given, computed=self.facts(input))
        return [Message("system", system(self.role, *rules)), Message("user", f"{self.task}\n\n{told}")]

    @abstractmethod
    def rules(self, input: In) -> Draft:
        """The draft that needs no model."""

    @abstractmethod
    def compose(self, draft: Draft, input: In) -> Out:
        """The output. Total: whatever passes as a draft makes one."""

    def answer(self, input: In, context: AgentContext) -> tuple[Out, ModelReply]:
        """Ask for a draft, and compose the output with it."""
        draft, reply = context.models.generate_json(
            self.request(input, context), self.draft, context.control, context.stream
        )
        return self.compose(draft, input), reply

    def fallback(self, input: In) -> Out:
        """The output composed with the draft of the rules."""
        return self.compose(self.rules(input), input)


class ProseAgent(Agent[In, Prose], Generic[In, Prose]):
    """An agent whose model writes text for people, which can be read while it comes."""

    structured = False

    @abstractmethod
    def from_text(self, text: str, input: In) -> Prose:
        """The output around what the model wrote."""

    def answer(self, input: In, context: AgentContext) -> tuple[Prose, ModelReply]:
        """Ask for text."""
        reply = context.models.generate(self.request(input, context), context.control, context.stream)
        out = self.from_text(reply.text.strip(), input)
        return out.model_copy(update={"truncated": reply.truncated}), reply


def _unstorable(value: Any, path: str = "input") -> Iterator[str]:
    """The paths of strings that Postgres could not keep."""
    stack: list[tuple[Any, str]] = [(value, path)]
    while stack:
        item, where = stack.pop()
        if isinstance(item, str):
            if clean_text(item) != item:
                yield where
        elif isinstance(item, dict):
            for key, part in item.items():
                if clean_text(str(key)) != str(key):
                    yield where
                stack.append((part, f"{where}.{clean_text(str(key))[:100]}"))
        elif isinstance(item, list):
            stack.extend((part, f"{where}.{index}") for index, part in enumerate(item))


def example(model: type[BaseModel]) -> dict[str, Any]:
    """The example that stands in a schema."""
    extra = model.model_config.get("json_schema_extra")
    assert isinstance(extra, dict)
    examples = extra["examples"]
    assert isinstance(examples, list)
    first = examples[0]
    assert isinstance(first, dict)
    return dict(first)
