"""One run, watched until it ends."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pixelbloom.client.frames import Lost, Problem, TopicEvent
from pixelbloom.client.socket import SocketClient
from pixelbloom.client.token import Token
from pixelbloom.errors import NotFound

TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class RunProgress:
    """The run moved on. `progress` goes from 0 to 1; `steps` has the status of each step of a workflow, in order."""

    status: str
    progress: float
    step: str
    steps: Mapping[str, str] | None = None


@dataclass(frozen=True)
class RunText:
    """More text of a step's reply as the model writes it. Steps of a workflow may write side by side.

    `offset` counts the characters that came before it: more than were seen where some were lost on the way
    (the result has them all). `restart`: what came before is discarded, this takes its place;
    `retrying_with` names the provider that writes it, or `fallback`, where it is another try.
    """

    text: str
    offset: int
    restart: bool
    step: str = ""
    retrying_with: str | None = None


@dataclass(frozen=True)
class RunEnded:
    """The run's end. `data` has the state as published; `result` is None where the run did not complete."""

    status: str
    result: Any
    error: str | None
    data: Mapping[str, Any]

    @property
    def completed(self) -> bool:
        return self.status == "completed"


RunEvent = RunProgress | RunText | RunEnded | Lost


class RunWatcher:
    """Iterates over what happens to a run, from its present state to its end, across lost connections.

    Raises NotFound where there is no such run for this caller, and whatever SocketClient raises.
    `options` are SocketClient's.
    """

    def __init__(self, base_url: str, token: Token, run_id: UUID, **options: Any) -> None:
        self.run_id = run_id
        self._topic = f"workflow_run:{run_id}"
        self._socket = SocketClient(base_url, "workflows", token, **options)
        self._socket.subscribe(self._topic)
        self._said: RunProgress | None = None
        self._steps: Mapping[str, str] | None = None
        self._seen: dict[str, str] = {}  # of each step, the text in one piece that ends at
        self._at: dict[str, int] = {}  # this many characters of the whole

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching; the run goes on."""
        self._socket.close()

    def wait(self) -> RunEnded:
        """Wait for the run's end and return it. Raises NotFound if the watcher is closed first."""
        for event in self:
            if isinstance(event, RunEnded):
                return event
        raise NotFound(f"Run {self.run_id} was not watched to its end: the watcher was closed.")

    def __iter__(self) -> Iterator[RunEvent]:
        for event in self._socket.events():
            match event:
                case Lost():
                    yield event
                case Problem() if event.topic in (None, self._topic) and event.code == "INVALID_TOPIC":
                    raise NotFound(f"Run {self.run_id} was not found, or it is not yours.")
                case TopicEvent(topic=self._topic, data=Mapping() as data):
                    yield from self._text_of(data, snapshot=event.snapshot)
                    yield from self._progress_of(data)
                    if data.get("status") in TERMINAL:
                        self.close()
                        yield _end(data)
                        return

    def _text_of(self, data: Mapping[str, Any], *, snapshot: bool) -> Iterator[RunText]:
        step = str(data.get("step") or "")
        if snapshot:
            # The end of a run has its result; the text shown so far stays valid.
            if data.get("status") in TERMINAL:
                return
            texts = data.get("texts")
            if isinstance(texts, Mapping):
                for key in [key for key in self._at if key not in texts]:
                    yield from self._forget(key, data)
                for key, text in texts.items():
                    yield from self._whole(str(key), str(text), 0)
            else:
                yield from self._whole(step, str(data.get("text") or ""), int(data.get("text_from") or 0))
            return
        delta = str(data.get("delta") or "")
        restart = data.get("reset") is True
        at = int(data.get("offset") or 0)
        if restart:
            self._seen[step] = ""
            self._at[step] = at
        known = self._at.get(step, 0)
        if at < known:
            delta, at = delta[known - at :], known
        if delta or restart:
            self._seen[step] = self._seen.get(step, "") + delta if at == known or restart else delta
            self._at[step] = at + len(delta)
            retrying_with = str(data["retrying_with"]) if restart and data.get("retrying_with") else None
            yield RunText(delta, at, restart, step, retrying_with)

    def _whole(self, step: str, text: str, start: int) -> Iterator[RunText]:
        """Yield what is new in the text so far, which begins at its character `start`."""
        seen, at = self._seen.get(step, ""), self._at.get(step, 0)
        nothing_yet = not seen and at == 0
        goes_on = at - len(seen) == start and text.startswith(seen)
        self._seen[step], self._at[step] = text, start + len(text)
        if goes_on or nothing_yet:
            more = text[len(seen) :]
            if more:
                yield RunText(more, start + len(seen), restart=False, step=step)
        else:
            yield RunText(text, start, restart=True, step=step)

    def _forget(self, step: str, data: Mapping[str, Any]) -> Iterator[RunText]:
        """Drop a step without text: it ended and its text stays, or it restarts and its text is discarded."""
        seen = self._seen.pop(step, "")
        del self._at[step]
        if seen and (_statuses(data.get("steps")) or {}).get(step) == "running":
            yield RunText("", 0, restart=True, step=step)

    def _progress_of(self, data: Mapping[str, Any]) -> Iterator[RunProgress]:
        self._steps = _statuses(data.get("steps")) or self._steps
        said = RunProgress(
            steps=self._steps,
            status=str(data.get("status") or ""),
            progress=float(data.get("progress") or 0),
            step=str(data.get("step") or ""),
        )
        if said != self._said:
            self._said = said
            yield said


def _statuses(steps: object) -> dict[str, str] | None:
    """Return the status of each step and map item by key, or None if `steps` is not a list."""
    if not isinstance(steps, list):
        return None
    found: dict[str, str] = {}
    for step in steps:
        if isinstance(step, Mapping):
            found[str(step.get("key"))] = str(step.get("status"))
            found |= _statuses(step.get("items")) or {}
    return found


def _end(data: Mapping[str, Any]) -> RunEnded:
    status = str(data["status"])
    result = data.get("result", data.get("outputs")) if status == "completed" else None
    error = data.get("error")
    return RunEnded(status, result, error if isinstance(error, str) else None, data)
