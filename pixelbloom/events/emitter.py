"""Streams the tokens of a running step to subscribers without blocking the step."""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from pixelbloom.core.text import encodable
from pixelbloom.events.types import GENERATIONS, RunDelta

log = structlog.get_logger(__name__)

#: At most 20 messages a second a run.
INTERVAL_SECONDS = 0.05
#: Characters buffered while Redis is unreachable; beyond it, the text since the last message is dropped.
MAX_WAITING_CHARACTERS = 128 * 1024
MAX_BATCH = 64
#: Pause after a Redis error.
RETRY_SECONDS = 0.5


class DeltaSender:
    """One thread per process that sends the text of all running steps, many in one round trip.

    A slow Redis does not slow the steps. The thread ends with the last open step and starts again with the next.
    """

    def __init__(self, send: Callable[[Sequence[RunDelta]], list[bool]]) -> None:
        self._send = send
        self._open: set[TokenEmitter] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, emitter: "TokenEmitter") -> None:
        with self._changed:
            self._open.add(emitter)

    def remove(self, emitter: "TokenEmitter") -> None:
        with self._changed:
            self._open.discard(emitter)
            self._changed.notify_all()

    def wake(self) -> None:
        """Signal that there is something to send."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deltas", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def sent(self, emitter: "TokenEmitter", timeout: float) -> None:
        """Wait until the emitter is empty, for at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not emitter.waiting, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (rest := self._rest()) is None or rest > 0:
                    if not self._open:
                        self._thread = None
                        return
                    self._changed.wait(rest)
                moment = time.monotonic()
                ready = [emitter for emitter in self._open if emitter.waiting and emitter.due <= moment]
            ready.sort(key=lambda emitter: emitter.due)
            if not self._send_some(ready[:MAX_BATCH]):
                time.sleep(RETRY_SECONDS)

    def _rest(self) -> float | None:
        """Return the seconds until the next message may be sent, or None if there is none."""
        due = min((emitter.due for emitter in self._open if emitter.waiting), default=None)
        return None if due is None else due - time.monotonic()

    def _send_some(self, emitters: Sequence["TokenEmitter"]) -> bool:
        """Send one message of each. Return whether Redis accepted them."""
        batch = [(emitter, delta) for emitter in emitters if (delta := emitter.take()) is not None]
        try:
            self._send([delta for _, delta in batch])
        except Exception as error:
            log.warning("deltas_not_sent", reason=type(error).__name__, runs=len(batch))
            return False
        for emitter, delta in batch:
            emitter.done(delta)
        with self._changed:
            self._changed.notify_all()
        return True


class TokenEmitter:
    """A `TokenStream` that publishes a run's tokens, batched to 20 messages a second.

    `token` and `restart` only buffer; another thread sends, so a slow or unreachable Redis neither fails nor
    delays the step. An unconfirmed message is sent again unchanged, so a lost response causes no duplicate.
    `execution` grows each time the step starts, also when it resumes the same attempt after a worker restart.
    `progress_of` estimates the run's progress (0 to 1) from the tokens of this execution so far; `rev` is the
    run's revision when the step was claimed.
    """

    def __init__(
        self,
        sender: DeltaSender,
        *,
        run_id: UUID,
        step: str,
        execution: int,
        progress_of: Callable[[int], float] = lambda _: 0.0,
        status: str = "running",
        rev: int = 0,
    ) -> None:
        self._run_id = run_id
        self._step = step
        self._status = status
        self._rev = rev
        self._progress_of = progress_of
        self._lock = threading.Lock()
        self._generation = execution * GENERATIONS
        self._buffer: list[str] = []
        self._waiting_characters = 0
        self._offset = 0
        self._tokens = 0
        self._reset_due = execution > 1
        self._retrying_with = ""
        self._inflight: RunDelta | None = None
        self._last_sent = 0.0
        self._hurry = False
        self._sender = sender
        self._sender.add(self)
        if self._reset_due:
            self._sender.wake()

    def token(self, text: str) -> None:
        """Add text of the model's reply."""
        if not text:
            return
        with self._lock:
            self._tokens += 1
            if self._waiting_characters + len(text) > MAX_WAITING_CHARACTERS:
                self._offset += self._waiting_characters
                self._buffer.clear()
                self._waiting_characters = 0
            self._buffer.append(text)
            self._waiting_characters += len(text)
            first = len(self._buffer) == 1
        if first:
            self._sender.wake()

    def restart(self, retrying_with: str | None = None) -> None:
        """Discard the streamed text. `retrying_with` is the provider tried next, `fallback`, or None."""
        with self._lock:
            self._retrying_with = retrying_with or ""
            self._reset_due = self._reset_due or self._offset > 0 or self._inflight is not None
            self._generation += 1
            self._buffer.clear()
            self._waiting_characters = 0
            self._offset = 0
            self._tokens = 0
        self._sender.wake()

    def close(self, timeout: float = 1.0) -> None:
        """Send the buffered text for at most `timeout` seconds, then drop the rest. Nothing is sent afterwards."""
        self._hurry = True
        if self.waiting:
            self._sender.wake()
            self._sender.sent(self, timeout)
        self._sender.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the sender uses

    @property
    def waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._inflight or self._buffer or self._reset_due)

    @property
    def due(self) -> float:
        """The earliest monotonic time of the next message."""
        return 0.0 if self._hurry else self._last_sent + INTERVAL_SECONDS

    def take(self) -> RunDelta | None:
        """Return the next message: the unconfirmed one, or a new one."""
        with self._lock:
            self._last_sent = time.monotonic()
            if self._inflight is not None and self._inflight.generation == self._generation:
                return self._inflight
            if not self._buffer and not self._reset_due:
                return None
            text = encodable("".join(self._buffer))
            self._inflight = RunDelta(
                run_id=self._run_id,
                generation=self._generation,
                offset=self._offset,
                text=text,
                step=self._step,
                progress=self._progress(),
                status=self._status,
                rev=self._rev,
                retrying_with=self._retrying_with,
            )
            self._buffer.clear()
            self._waiting_characters = 0
            self._offset += len(text)
            self._reset_due = False
            return self._inflight

    def done(self, delta: RunDelta) -> None:
        """Mark a message as confirmed by Redis."""
        with self._lock:
            if self._inflight is delta:
                self._inflight = None

    def _progress(self) -> float:
        try:
            return min(max(float(self._progress_of(self._tokens)), 0.0), 1.0)
        except Exception:
            log.warning("progress_not_estimated", exc_info=True)
            return 0.0
