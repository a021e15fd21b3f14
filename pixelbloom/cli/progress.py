"""Shows a run while it happens, on stderr: a bar and text on a terminal, plain lines in a pipe."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from pixelbloom.cli.output import err, printable, say, unstopped
from pixelbloom.client import Lost, RunEnded, RunProgress, RunText
from pixelbloom.client.watch import RunEvent

#: The width of a line of streamed text in a pipe.
LINE = 100


class View(Protocol):
    """A display of a run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: RunEvent) -> None:
        """Show one event."""


def view() -> View:
    """Return the display for the current stderr."""
    console = err()
    return TerminalView(console) if on_terminal(console) else PlainView()


def on_terminal(console: Console) -> bool:
    """Return whether stderr is an interactive terminal."""
    return console.is_terminal and not console.is_dumb_terminal


class Lines:
    """Cuts streamed text into whole lines of at most `width` characters, at spaces where there are some."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._end = 0
        self._json = False
        self.rest = ""

    def add(self, event: RunText) -> list[str]:
        """Return the lines that are complete now. For JSON, only a note that it is being written."""
        if event.offset == 0 or event.restart:
            self._json = event.text.lstrip().startswith(("{", "```"))
            if self._json:
                self.rest = ""
                return ["(writing the result)"]
        if self._json:
            return []
        gap = "" if event.restart or event.offset <= self._end else "[...]"
        self._end = event.offset + len(event.text)
        if event.restart:
            self.rest = ""
        self.rest += printable(gap + event.text)
        *done, self.rest = self.rest.split("\n")
        lines = [part for line in done for part in self._wrap(line)]
        *long, self.rest = self._wrap(self.rest)
        return lines + long

    def flush(self) -> list[str]:
        """Return the rest."""
        left, self.rest = self.rest, ""
        return [left] if left else []

    def _wrap(self, line: str) -> list[str]:
        parts = []
        while len(line) > self._width:
            at = line.rfind(" ", 1, self._width) + 1 or self._width
            parts.append(line[:at].rstrip())
            line = line[at:]
        return [*parts, line]


def _discarded(event: RunText) -> str:
    """Return the note about the text above, which stays visible."""
    return f"discarded, retrying with {printable(event.retrying_with)}" if event.retrying_with else "discarded"


class PlainView:
    """Plain lines, for a pipe or a log. Streamed text is marked with a bar."""

    def __init__(self) -> None:
        self._lines = Lines(LINE)
        self._said = ("", -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text(self._lines.flush())

    def show(self, event: RunEvent) -> None:
        match event:
            case RunText():
                if event.restart:
                    self._text(self._lines.flush())
                    say(_discarded(event))
                self._text(self._lines.add(event))
            case RunProgress():
                self._moved(event)
            case RunEnded():
                self._text(self._lines.flush())
            case Lost():
                say(lost(event))

    def _moved(self, event: RunProgress) -> None:
        # Each message changes the progress; a line for each tenth is enough.
        now = (event.status, int(event.progress * 10))
        if now != self._said:
            self._said = now
            self._text(self._lines.flush() if event.status != "running" else [])
            say(f"{event.status} {event.progress:.0%} {event.step}".rstrip())

    @staticmethod
    def _text(lines: list[str]) -> None:
        for line in lines:
            say(f"| {line}".rstrip())


class TerminalView:
    """A progress bar that stays at the bottom, with the text above it as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("waiting", total=1.0)
        self._lines = Lines(max(20, console.width - 1))
        self._live = Live(Group(Text(""), self._bar), console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._print(self._lines.flush())
        self._draw()
        self._live.stop()

    def show(self, event: RunEvent) -> None:
        match event:
            case RunText():
                if event.restart:
                    self._print(self._lines.flush())
                    self._console.print(Text(_discarded(event), style="yellow"))
                self._print(self._lines.add(event))
            case RunProgress():
                label = f"{event.status} {event.step}".rstrip()
                self._bar.update(self._task, completed=event.progress, description=printable(label))
            case RunEnded():
                self._print(self._lines.flush())
            case Lost():
                self._console.print(Text(lost(event), style="yellow"))
        self._draw()

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            self._console.print(Text(line, style="dim"))

    def _draw(self) -> None:
        self._live.update(Group(Text(self._lines.rest, style="dim"), self._bar))


def lost(event: Lost) -> str:
    """Return the message about a lost connection."""
    return printable(f"connection lost: {unstopped(event.reason)}; trying again in {event.retry_in:.1f} s")
