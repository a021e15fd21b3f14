"""Ollama, through its client library."""

import contextlib
import ssl
from collections.abc import Generator, Iterator
from typing import Any, cast

import httpx
import ollama
import structlog

from pixelbloom.config import Settings
from pixelbloom.core.text import shorten
from pixelbloom.models.abortable_connection import AbortableConnection
from pixelbloom.models.catalog import DEFAULT
from pixelbloom.models.failures import ProviderFailure, ProviderTimeout, ProviderUnreachable, RequestRefused
from pixelbloom.models.provider import CONNECT_SECONDS, MAX_REPLY_BYTES
from pixelbloom.models.request import CONTEXT_TOKENS, ModelRequest, ProviderName, Usage

log = structlog.get_logger(__name__)

#: Errors of the libraries, and of parsing a malformed line.
_ERRORS = (
    ollama.ResponseError,
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
)


class _ThinkRefused(Exception):
    """The model does not accept `think`, neither true nor false."""


class _BoundedStream(httpx.SyncByteStream):
    """Limits a reply to MAX_REPLY_BYTES: the client would buffer an endless line without limit."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        total = 0
        for chunk in self._stream:
            total += len(chunk)
            if total > MAX_REPLY_BYTES:
                raise httpx.ReadError("the reply is too large")
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _AbortableTransport(httpx.HTTPTransport):
    """Opens a new connection and registers its socket."""

    def __init__(self, connection: AbortableConnection, verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        self._connection = connection

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["trace"] = self._trace
        response = super().handle_request(request)
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _BoundedStream(response.stream)
        return response

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._connection.attach(info["return_value"].get_extra_info("socket"))


class Ollama:
    """Models on OLLAMA_HOST."""

    name: ProviderName = "ollama"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: Models that reject the `think` parameter.
        self._unaware: set[str] = set()
        # Loading the certificate store takes 10 ms: do it once, and not at all without TLS.
        encrypted = settings.ollama_host.startswith("https://")
        self._tls = ssl.create_default_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def model_for(self, request: ModelRequest) -> str:
        """Return OLLAMA_MODEL if it is set, else the agent's model."""
        return self._settings.ollama_model or request.model or DEFAULT

    def stream(self, request: ModelRequest, connection: AbortableConnection, usage: Usage) -> Generator[str]:
        """POST /api/chat, streaming. `think` is omitted for a model that rejected it once."""
        model = self.model_for(request)
        if model not in self._unaware:
            try:
                yield from self._chat(model, request, connection, usage, think=self._settings.ollama_think)
                return
            except _ThinkRefused:
                self._unaware.add(model)
                log.info("model_does_not_think", model=model)
        yield from self._chat(model, request, connection, usage, think=None)

    def _chat(
        self, model: str, request: ModelRequest, connection: AbortableConnection, usage: Usage, *, think: bool | None
    ) -> Generator[str]:
        default = self._settings.ollama_temperature
        done = False
        try:
            with ollama.Client(
                self._settings.ollama_host,
                timeout=httpx.Timeout(connection.remaining(), connect=min(CONNECT_SECONDS, connection.remaining())),
                transport=_AbortableTransport(connection, self._tls),
                follow_redirects=False,
            ) as client:
                parts = client.chat(
                    model=model,
                    messages=[{"role": m.role, "content": m.content} for m in request.messages],
                    stream=True,
                    think=think,
                    format=request.schema,
                    options={
                        "temperature": default if request.temperature is None else request.temperature,
                        "num_predict": request.max_tokens,
                        "num_ctx": CONTEXT_TOKENS,
                    },
                    keep_alive=self._settings.ollama_keep_alive,
                )
                with contextlib.closing(cast("Generator[ollama.ChatResponse]", parts)):
                    for part in parts:
                        connection.check()
                        if part.done:
                            usage.prompt_tokens = max(0, part.prompt_eval_count or 0)
                            usage.completion_tokens = max(0, part.eval_count or 0)
                            usage.cut = "length" if part.done_reason == "length" else None
                        usage.tool_calls = usage.tool_calls or bool(part.message.tool_calls)
                        done = done or bool(part.done)
                        if part.message.content:
                            yield part.message.content
        except _ERRORS as error:
            # A socket that we shut looks like any other broken one, so check our own reasons first.
            connection.check()
            if think is not None and _about_thinking(error):
                raise _ThinkRefused from error
            raise _failure(error, self._settings.ollama_host, model) from error
        connection.check()
        if not done:
            raise ProviderFailure("Ollama's reply ended early")


def _about_thinking(error: Exception) -> bool:
    """Return whether Ollama rejected the request because of `think`: `"llama3" does not support thinking`."""
    return isinstance(error, ollama.ResponseError) and error.status_code == 400 and "think" in str(error.error).lower()


def _failure(error: Exception, host: str, model: str) -> ProviderFailure:
    match error:
        case ollama.ResponseError(status_code=404):
            return RequestRefused(f"Ollama has no model {model}: run `ollama pull {model}`")
        case ollama.ResponseError(status_code=status) if 400 <= status < 500:
            return RequestRefused(f"Ollama rejected the request: {status} {shorten(str(error.error), 300)}")
        case ollama.ResponseError(status_code=status):
            prefix = f"{status} " if status > 0 else ""
            return ProviderFailure(f"Ollama failed: {prefix}{shorten(str(error.error), 300)}")
        case httpx.ConnectError() | httpx.ConnectTimeout() | ConnectionError():
            return ProviderUnreachable(f"Ollama is unreachable at {host}: is `ollama serve` running?")
        case httpx.TimeoutException():
            return ProviderTimeout("Ollama timed out")
        case httpx.HTTPError() | OSError():
            return ProviderFailure(f"the connection to Ollama broke: {shorten(str(error), 300)}")
        case _:
            return ProviderFailure(f"Ollama's reply could not be parsed: {type(error).__name__}")
