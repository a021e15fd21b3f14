"""ModelManager: Ollama, then HuggingFace, then nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog
from pydantic import BaseModel

from pixelbloom.config import Settings
from pixelbloom.errors import ModelsUnavailable, StepError, StepTimeout
from pixelbloom.models.abortable_connection import Line
from pixelbloom.models.breaker import Breaker
from pixelbloom.models.control import CallControl
from pixelbloom.models.failures import CircuitOpen, CutReply, InvalidReply, ProviderFailure, ProviderTimeout
from pixelbloom.models.huggingface import HuggingFace
from pixelbloom.models.ollama import Ollama
from pixelbloom.models.output import Output
from pixelbloom.models.prompt import CONTEXT_TOKENS, bounded
from pixelbloom.models.provider import Provider
from pixelbloom.models.request import (
    Message,
    ModelCall,
    ModelReply,
    ModelRequest,
    Outcome,
    TokenStream,
    Usage,
)
from pixelbloom.models.schema import wire_schema
from pixelbloom.models.structured import read_json
from pixelbloom.models.text import clean_text, shorten

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

#: Characters of one answer; max_tokens bounds it long before.
MAX_REPLY_CHARS = 200_000

#: How much more room an answer gets that was cut off.
MORE_ROOM = 4


@dataclass(frozen=True)
class _Lane:
    provider: Provider
    breaker: Breaker


@dataclass
class _Attempt:
    """One call in progress, for the metrics."""

    usage: Usage = field(default_factory=Usage)
    text: str = ""
    outcome: Outcome = "ok"
    error: str | None = None


class ModelManager:
    """Asks the providers in their order until one answers. Safe to share between threads.

    `record` is given each attempt; what it raises is logged and goes no further.
    """

    def __init__(self, settings: Settings, record: Callable[[ModelCall], None]) -> None:
        providers: list[Provider] = [Ollama(settings)]
        if settings.huggingface_api_key is not None:
            providers.append(HuggingFace(settings, settings.huggingface_api_key))
        self._lanes = tuple(_Lane(provider, Breaker(provider.name)) for provider in providers)
        self._timeout = settings.model_timeout
        self._record = record

    @property
    def breakers(self) -> dict[str, Breaker]:
        """The circuit breaker of each configured provider."""
        return {lane.provider.name: lane.breaker for lane in self._lanes}

    def generate(self, request: ModelRequest, control: CallControl, stream: TokenStream) -> ModelReply:
        """The answer as prose.

        Raises ModelsUnavailable where every provider failed; StepTimeout and StepCancelled from `control`.
        """
        return self._try_each(request, control, stream, lambda text: text)[1]

    def generate_json(
        self, request: ModelRequest, model_type: type[M], control: CallControl, stream: TokenStream
    ) -> tuple[M, ModelReply]:
        """The answer as a `model_type`.

        A provider that answers otherwise is asked once more (with more room where the answer was cut off), then the
        next one is. Raises as `generate` does.
        """
        request = replace(request, schema=wire_schema(model_type))
        return self._try_each(request, control, stream, lambda text: read_json(text, model_type))

    def _try_each(
        self,
        request: ModelRequest,
        control: CallControl,
        stream: TokenStream,
        read: Callable[[str], T],
    ) -> tuple[T, ModelReply]:
        request = replace(request, messages=bounded(request.messages))
        # A little is kept back, so that the fallback still answers when the models used up their time.
        left = control.remaining()
        end = time.monotonic() + left - min(2.0, left / 10)
        output = Output(stream)
        for place, lane in enumerate(self._lanes):
            # Each provider has its share of the time left: one that hangs leaves the next its turn.
            share = (end - time.monotonic()) / (len(self._lanes) - place)
            try:
                return self._ask(lane, request, control, output, read, time.monotonic() + share)
            except ProviderFailure as failure:
                following = self._lanes[place + 1 :]
                log.warning(
                    "model_provider_switched",
                    from_provider=lane.provider.name,
                    to_provider=following[0].provider.name if following else "fallback",
                    reason=failure.message,
                    agent_type=request.agent_type,
                    run_id=str(request.run_id) if request.run_id else None,
                )
        output.begin("fallback")
        raise ModelsUnavailable("No model could answer: see `pixelbloom doctor` for what to do about it.")

    def _ask(
        self,
        lane: _Lane,
        request: ModelRequest,
        control: CallControl,
        output: Output,
        read: Callable[[str], T],
        end: float,
    ) -> tuple[T, ModelReply]:
        # Twice at most, for an answer that must be JSON, or for prose where reasoning used up the tokens.
        for last in (False, True):
            control.check()
            output.begin(lane.provider.name)
            attempt = _Attempt()
            try:
                return self._call(lane, request, control, output, read, attempt, end)
            except CutReply as fault:
                room = _room(request, attempt.usage)
                if last or room <= request.max_tokens:
                    raise
                log.info("model_asked_for_more", provider=lane.provider.name, reason=fault.message, max_tokens=room)
                request = replace(request, max_tokens=room)
            except InvalidReply as fault:
                if last or request.schema is None:
                    raise
                log.info("model_asked_again", provider=lane.provider.name, reason=fault.message)
                request = replace(request, messages=bounded(_mend(request, attempt.text, fault)))
        raise AssertionError("the last ask returns or raises")

    def _call(
        self,
        lane: _Lane,
        request: ModelRequest,
        control: CallControl,
        output: Output,
        read: Callable[[str], T],
        attempt: _Attempt,
        end: float,
    ) -> tuple[T, ModelReply]:
        provider = lane.provider
        seconds = min(self._timeout, end - time.monotonic())
        if seconds <= 0:
            raise ProviderTimeout("no time is left for another call")
        started = time.monotonic()
        with self._recorded(lane, request, attempt, started):
            with (
                lane.breaker.guard(),
                Line(control, seconds) as line,
                closing(provider.stream(request, line, attempt.usage)) as pieces,
            ):
                for piece in pieces:
                    output.feed(piece)
                    if output.received > MAX_REPLY_CHARS:
                        raise ProviderFailure("the answer is too long")
                output.end()
            attempt.text = output.text
            value = _value(attempt, request, read)
        cut = attempt.usage.cut is not None
        reply = ModelReply(
            text=attempt.text,
            provider=provider.name,
            model=provider.model_for(request),
            prompt_tokens=attempt.usage.prompt_tokens,
            completion_tokens=attempt.usage.completion_tokens,
            latency_ms=round((time.monotonic() - started) * 1000),
            truncated=cut and request.schema is None,
        )
        if reply.truncated:
            log.warning(
                "model_reply_truncated",
                provider=provider.name,
                reason=attempt.usage.cut,
                agent_type=request.agent_type,
                run_id=str(request.run_id) if request.run_id else None,
            )
        return value, reply

    @contextmanager
    def _recorded(self, lane: _Lane, request: ModelRequest, attempt: _Attempt, started: float) -> Iterator[None]:
        try:
            yield
        except CircuitOpen:
            # Not an attempt: nobody was asked.
            raise
        except BaseException as error:
            attempt.outcome, attempt.error = _verdict(error)
            self._write(lane, request, attempt, started)
            raise
        self._write(lane, request, attempt, started)

    def _write(self, lane: _Lane, request: ModelRequest, attempt: _Attempt, started: float) -> None:
        call = ModelCall(
            agent_type=request.agent_type,
            provider=lane.provider.name,
            model=lane.provider.model_for(request),
            outcome=attempt.outcome,
            error=attempt.error,
            latency_ms=round((time.monotonic() - started) * 1000),
            prompt_tokens=attempt.usage.prompt_tokens,
            completion_tokens=attempt.usage.completion_tokens,
            run_id=request.run_id,
        )
        try:
            self._record(call)
        except Exception:
            log.exception("model_call_not_recorded", provider=call.provider, outcome=call.outcome)


def _value(attempt: _Attempt, request: ModelRequest, read: Callable[[str], T]) -> T:
    """What the answer says. Raises InvalidReply; of it CutReply where the model ran out of tokens."""
    usage = attempt.usage
    if usage.tool_calls:
        raise InvalidReply("the answer is the call of a tool, and none was offered")
    if usage.cut is not None and request.schema is None and attempt.text.strip():
        attempt.outcome, attempt.error = "truncated", f"the answer was cut off: {usage.cut}"
    try:
        if not attempt.text.strip():
            raise InvalidReply("the answer is empty")
        return read(attempt.text)
    except InvalidReply as fault:
        if usage.cut != "length":
            raise
        raise CutReply(f"the answer was cut off at {request.max_tokens} tokens: {fault.message}") from None


def _room(request: ModelRequest, usage: Usage) -> int:
    """Tokens for an answer that did not have enough of them, within the window that holds the prompt too."""
    prompt = usage.prompt_tokens or sum(len(message.content) for message in request.messages) // 3
    return min(request.max_tokens * MORE_ROOM, CONTEXT_TOKENS - prompt)


def _verdict(error: BaseException) -> tuple[Outcome, str]:
    match error:
        case ProviderFailure():
            return error.outcome, clean_text(shorten(error.message, 1000))
        case StepTimeout():
            return "timeout", error.message
        case StepError():
            return "cancelled", error.message
        case _:
            return "error", type(error).__name__


def _mend(request: ModelRequest, answer: str, fault: InvalidReply) -> tuple[Message, ...]:
    complaint = (
        f"That answer cannot be used: {shorten(fault.message, 600)}. "
        "Answer again with one JSON object of the schema you were given, and nothing else."
    )
    tried = (Message("assistant", shorten(answer, 4000)),) if answer.strip() else ()
    return (*request.messages, *tried, Message("user", complaint))
