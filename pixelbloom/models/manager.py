"""ModelManager tries Ollama, then HuggingFace."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog
from pydantic import BaseModel

from pixelbloom.config import Settings
from pixelbloom.core.text import clean_text, shorten
from pixelbloom.errors import ModelsUnavailable, StepError, StepTimeout
from pixelbloom.models.abortable_connection import AbortableConnection
from pixelbloom.models.breaker import Breaker
from pixelbloom.models.control import CallControl
from pixelbloom.models.failures import CircuitOpen, CutReply, InvalidReply, ProviderFailure, ProviderTimeout
from pixelbloom.models.huggingface import HuggingFace
from pixelbloom.models.ollama import Ollama
from pixelbloom.models.output import Output
from pixelbloom.models.provider import Provider
from pixelbloom.models.request import (
    CONTEXT_TOKENS,
    Message,
    ModelCall,
    ModelReply,
    ModelRequest,
    Outcome,
    TokenStream,
    Usage,
    bounded,
)
from pixelbloom.models.structured import read_json, wire_schema
from pixelbloom.telemetry.recorder import DISCARD, Recorder

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

#: Maximum characters of a reply; max_tokens usually limits it long before.
MAX_REPLY_CHARS = 200_000

#: The factor by which max_tokens grows for a retry of a truncated reply.
MORE_ROOM = 4


@dataclass(frozen=True)
class _Target:
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
    """Tries the providers in order until one replies. Safe to share between threads.

    `record` is called with each attempt; its exceptions are logged and not propagated.
    """

    def __init__(self, settings: Settings, record: Callable[[ModelCall], None], metrics: Recorder = DISCARD) -> None:
        providers: list[Provider] = [Ollama(settings)]
        if settings.huggingface_api_key is not None:
            providers.append(HuggingFace(settings, settings.huggingface_api_key))
        self._targets = tuple(_Target(provider, Breaker(provider.name)) for provider in providers)
        self._timeout = settings.model_timeout
        self._record = record
        self._metrics = metrics

    @property
    def breakers(self) -> dict[str, Breaker]:
        """The circuit breaker of each configured provider."""
        return {target.provider.name: target.breaker for target in self._targets}

    def generate(self, request: ModelRequest, control: CallControl, stream: TokenStream) -> ModelReply:
        """Return a reply as prose.

        Raises ModelsUnavailable if every provider failed; StepTimeout and StepCancelled from `control`.
        """
        return self._try_each(request, control, stream, lambda text: text)[1]

    def generate_json(
        self, request: ModelRequest, model_type: type[M], control: CallControl, stream: TokenStream
    ) -> tuple[M, ModelReply]:
        """Return a reply as a `model_type`.

        After an invalid reply the provider is asked once more (with more tokens if the reply was truncated), then the
        next provider. Raises as `generate` does.
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
        # Reserve some time, so that the fallback can still run after the models used up their time.
        left = control.remaining()
        end = time.monotonic() + left - min(2.0, left / 10)
        output = Output(stream)
        for place, target in enumerate(self._targets):
            # Each provider gets a share of the remaining time, so that one that hangs leaves time for the next.
            share = (end - time.monotonic()) / (len(self._targets) - place)
            try:
                return self._ask(target, request, control, output, read, time.monotonic() + share)
            except ProviderFailure as failure:
                following = self._targets[place + 1 :]
                log.warning(
                    "model_provider_switched",
                    from_provider=target.provider.name,
                    to_provider=following[0].provider.name if following else "fallback",
                    reason=failure.message,
                    agent_type=request.agent_type,
                    run_id=str(request.run_id) if request.run_id else None,
                )
        output.begin("fallback")
        raise ModelsUnavailable("No model provider is available: run `pixelbloom doctor` to find the cause.")

    def _ask(
        self,
        target: _Target,
        request: ModelRequest,
        control: CallControl,
        output: Output,
        read: Callable[[str], T],
        end: float,
    ) -> tuple[T, ModelReply]:
        # At most twice: for a reply that must be JSON, or for prose if reasoning used up the tokens.
        for last in (False, True):
            control.check()
            output.begin(target.provider.name)
            attempt = _Attempt()
            try:
                return self._call(target, request, control, output, read, attempt, end)
            except CutReply as error:
                room = _room(request, attempt.usage)
                if last or room <= request.max_tokens:
                    raise
                log.info("model_asked_for_more", provider=target.provider.name, reason=error.message, max_tokens=room)
                request = replace(request, max_tokens=room)
            except InvalidReply as error:
                if last or request.schema is None:
                    raise
                log.info("model_asked_again", provider=target.provider.name, reason=error.message)
                request = replace(request, messages=bounded(_repair_prompt(request, attempt.text, error)))
        raise AssertionError("the last ask returns or raises")

    def _call(
        self,
        target: _Target,
        request: ModelRequest,
        control: CallControl,
        output: Output,
        read: Callable[[str], T],
        attempt: _Attempt,
        end: float,
    ) -> tuple[T, ModelReply]:
        provider = target.provider
        seconds = min(self._timeout, end - time.monotonic())
        if seconds <= 0:
            raise ProviderTimeout("no time is left for another call")
        started = time.monotonic()
        with self._recorded(target, request, attempt, started):
            with (
                target.breaker.guard(),
                AbortableConnection(control, seconds) as connection,
                closing(provider.stream(request, connection, attempt.usage)) as pieces,
            ):
                for piece in pieces:
                    output.feed(piece)
                    if output.received > MAX_REPLY_CHARS:
                        raise ProviderFailure("the reply is too long")
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
    def _recorded(self, target: _Target, request: ModelRequest, attempt: _Attempt, started: float) -> Iterator[None]:
        try:
            yield
        except CircuitOpen:
            # Not an attempt: no provider was called.
            raise
        except BaseException as error:
            attempt.outcome, attempt.error = _outcome_of(error)
            self._write(target, request, attempt, started)
            raise
        self._write(target, request, attempt, started)

    def _write(self, target: _Target, request: ModelRequest, attempt: _Attempt, started: float) -> None:
        call = ModelCall(
            agent_type=request.agent_type,
            provider=target.provider.name,
            model=target.provider.model_for(request),
            outcome=attempt.outcome,
            error=attempt.error,
            latency_ms=round((time.monotonic() - started) * 1000),
            prompt_tokens=attempt.usage.prompt_tokens,
            completion_tokens=attempt.usage.completion_tokens,
            run_id=request.run_id,
        )
        self._metrics.model_called(
            call.provider,
            call.outcome,
            call.latency_ms / 1000,
            (call.prompt_tokens, call.completion_tokens),
            breaker_open=target.breaker.is_open,
        )
        try:
            self._record(call)
        except Exception:
            log.exception("model_call_not_recorded", provider=call.provider, outcome=call.outcome)


def _value(attempt: _Attempt, request: ModelRequest, read: Callable[[str], T]) -> T:
    """Parse the reply. Raises InvalidReply, or its subclass CutReply if the model ran out of tokens."""
    usage = attempt.usage
    if usage.tool_calls:
        raise InvalidReply("the reply is a tool call, but no tool was offered")
    if usage.cut is not None and request.schema is None and attempt.text.strip():
        attempt.outcome, attempt.error = "truncated", f"the reply was cut off: {usage.cut}"
    try:
        if not attempt.text.strip():
            raise InvalidReply("the reply is empty")
        return read(attempt.text)
    except InvalidReply as error:
        if usage.cut != "length":
            raise
        raise CutReply(f"the reply was cut off at {request.max_tokens} tokens: {error.message}") from None


def _room(request: ModelRequest, usage: Usage) -> int:
    """Return more tokens for a truncated reply, within the context window that also holds the prompt."""
    prompt = usage.prompt_tokens or sum(len(message.content) for message in request.messages) // 3
    return min(request.max_tokens * MORE_ROOM, CONTEXT_TOKENS - prompt)


def _outcome_of(error: BaseException) -> tuple[Outcome, str]:
    match error:
        case ProviderFailure():
            return error.outcome, clean_text(shorten(error.message, 1000))
        case StepTimeout():
            return "timeout", error.message
        case StepError():
            return "cancelled", error.message
        case _:
            return "error", type(error).__name__


def _repair_prompt(request: ModelRequest, reply: str, error: InvalidReply) -> tuple[Message, ...]:
    complaint = (
        f"That answer cannot be used: {shorten(error.message, 600)}. "
        "Answer again with one JSON object of the schema you were given, and nothing else."
    )
    tried = (Message("assistant", shorten(reply, 4000)),) if reply.strip() else ()
    return (*request.messages, *tried, Message("user", complaint))
