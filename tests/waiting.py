"""Waiting in tests. Every wait has a deadline, and a failed one shows what it saw last."""

import ast
import inspect
import linecache
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

#: Much longer than anything takes on a busy machine: only a wait that would never end reaches it.
SECONDS = 120.0
PAUSE_SECONDS = 0.05

T = TypeVar("T")


class NotInTime(AssertionError):
    """The awaited condition did not become true."""


class Deadline:
    """The end of a wait that a test makes of several steps. `saw` returns what to show when it has passed."""

    def __init__(self, seconds: float = SECONDS, saw: Callable[[], object] | None = None, what: str = "") -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._saw = saw
        self._what = what

    @property
    def left(self) -> float:
        """Seconds until it passes, for the next step's timeout. Raises NotInTime when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            self.fail()
        return left

    def fail(self) -> None:
        """Raise NotInTime."""
        saw = "" if self._saw is None else f"\nsaw last: {_short(self._saw())}"
        raise NotInTime(f"not within {self._seconds:g} s{self._what and ': ' + self._what}{saw}")


def until(
    condition: Callable[[], T],
    seconds: float = SECONDS,
    *,
    saw: Callable[[], object] | None = None,
    pause: float = PAUSE_SECONDS,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Return the first true value of `condition`. `saw` adds to what a failure shows: an output, a state."""
    found = condition()

    def seen() -> str:
        return "\n".join([repr(found), *_operands(condition), *([] if saw is None else [_short(saw())])])

    deadline = Deadline(seconds, seen, _text(condition))
    while not found:
        sleep(min(pause, deadline.left))
        found = condition()
    return found


def repeat_until(
    condition: Callable[[], object], seconds: float = SECONDS, *, saw: Callable[[], object] | None = None
) -> Iterator[int]:
    """Run a loop's body until `condition` is true: `for _ in repeat_until(lambda: full()): fill()`."""
    deadline = Deadline(seconds, lambda: "\n".join([*_operands(condition), *([_short(saw())] if saw else [])]))
    number = 0
    while not condition():
        assert deadline.left
        yield number
        number += 1


class Background(threading.Thread):
    """A function that runs beside the test. Its error is raised in the test."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True, name=f"test: {getattr(function, '__name__', function)}")
        self._function = function
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error

    def result(self, seconds: float = SECONDS) -> Any:
        """Wait for its end. Returns what the function returned and raises what it raised."""
        self.join(seconds)
        if self.is_alive():
            frame = sys._current_frames().get(self.ident or 0)
            where = "".join(traceback.format_stack(frame)) if frame else ""
            raise NotInTime(f"{self.name} has not ended after {seconds:g} s\n{where}")
        if self._error is not None:
            raise self._error
        return self._value


def within(function: Callable[[], T], seconds: float = SECONDS, *, saw: Callable[[], object] | None = None) -> T:
    """Call a function that may block. Returns what it returns; fails where it has not ended in time."""
    thread = Background(function)
    thread.start()
    thread.join(seconds)
    if thread.is_alive() and saw is not None:
        raise NotInTime(f"not within {seconds:g} s\nsaw last: {_short(saw())}")
    found: T = thread.result(0)
    return found


@contextmanager
def background(*functions: Callable[[], Any], seconds: float = SECONDS) -> Iterator[list[Background]]:
    """Run functions beside the block; they must end within `seconds` after it."""
    threads = [Background(function) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield threads
    except BaseException:
        for thread in threads:
            thread.join(seconds)
        raise
    for thread in threads:
        thread.result(seconds)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 4_000 else f"... {text[-4_000:]}"


def _text(condition: Callable[[], object]) -> str:
    """The source of a lambda's body; else the function's name."""
    code = getattr(condition, "__code__", None)
    if code is None or code.co_name != "<lambda>":
        return str(getattr(condition, "__qualname__", condition))
    places = [place for place in code.co_positions() if place[3]]  # without the instructions of no place
    if not places or any(part is None for place in places for part in place):
        return "a condition"
    first = min((place[0], place[2]) for place in places)
    last = max((place[1], place[3]) for place in places)
    lines = [linecache.getline(code.co_filename, number).encode() for number in range(first[0], last[0] + 1)]
    lines[-1] = lines[-1][: last[1]]
    lines[0] = lines[0][first[1] :]
    return b"".join(lines).decode(errors="replace")


def _operands(condition: Callable[[], object]) -> list[str]:
    """The left sides of a lambda's comparisons, as they are now."""
    try:
        body = ast.parse(f"({_text(condition)})", mode="eval")
    except SyntaxError:
        return []
    defaults = {name: one.default for name, one in inspect.signature(condition).parameters.items()}
    names = {**inspect.getclosurevars(condition).nonlocals, **defaults}
    found = []
    for node in ast.walk(body):
        if isinstance(node, ast.Compare):
            text = ast.unparse(node.left)
            try:
                value = eval(text, condition.__globals__, dict(names))  # noqa: S307
            except NameError:
                continue  # of a comprehension
            except Exception as error:
                value = error
            found.append(f"{text} = {_short(value)}")
    return found
