"""Shows the run of a workflow while it happens: a live tree of its steps on a terminal, a line a change in a pipe."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from uuid import UUID

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pixelbloom.cli.output import err, printable, say
from pixelbloom.cli.progress import View, lost, on_terminal
from pixelbloom.client import Lost, RunEnded, RunProgress, RunText
from pixelbloom.client.watch import RunEvent

MARKS = {
    "pending": ("·", "dim"),
    "waiting": ("?", "yellow"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "cancelled": ("-", "red"),
}


def step_view(run_id: UUID) -> View:
    """Return the display for the current stderr."""
    console = err()
    return StepTree(console, run_id) if on_terminal(console) else PlainSteps(run_id)


def ask(run_id: UUID, key: str) -> str:
    """Return the commands that decide a waiting step."""
    return f"pixelbloom workflows approve {run_id} {key}   (or: reject)"


class PlainSteps:
    """A line for each step that changes."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        self._known: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: RunEvent) -> None:
        match event:
            case RunProgress(steps=Mapping() as steps):
                for key, status in steps.items():
                    if self._known.get(key, "pending") != status:
                        say(f"{key} {status} ({event.progress:.0%})")
                        if status == "waiting":
                            say(f"  {ask(self._run_id, key)}")
                    self._known[key] = status
            case Lost():
                say(lost(event))


class StepTree:
    """The steps with their marks; running ones with the amount of text written."""

    def __init__(self, console: Console, run_id: UUID) -> None:
        self._console = console
        self._run_id = run_id
        self._progress = RunProgress("queued", 0.0, "")
        self._written: dict[str, int] = {}
        self._spinner = Spinner("dots")
        self._live = Live(self._tree(), console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(self._tree())
        self._live.stop()

    def show(self, event: RunEvent) -> None:
        match event:
            case RunProgress():
                self._progress = event
            case RunText():
                self._written[event.step] = event.offset + len(event.text)
            case RunEnded():
                self._progress = RunProgress(event.status, self._progress.progress, "", self._progress.steps)
            case Lost():
                self._console.print(Text(lost(event), style="yellow"))
        self._live.update(self._tree())

    def _tree(self) -> Tree:
        now = self._progress
        tree = Tree(Text(printable(f"run {self._run_id}  {now.status} {now.progress:.0%}"), style="bold"))
        for key, status in (now.steps or {}).items():
            tree.add(self._step(key, status))
        return tree

    def _step(self, key: str, status: str) -> Table | Text:
        name = printable(key)
        if status == "running":
            row = Table.grid(padding=(0, 1))
            written = self._written.get(key)
            row.add_row(self._spinner, Text(name), Text(f"{written} characters" if written else "", style="dim"))
            return row
        mark, style = MARKS.get(status, ("·", "dim"))
        hint = f"  {ask(self._run_id, key)}" if status == "waiting" else ""
        return Text(f"{mark} {name}{'' if status == 'completed' else f' {status}'}{hint}", style=style)
