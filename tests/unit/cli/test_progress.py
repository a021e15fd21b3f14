"""What somebody sees who watches a run."""

import pytest
from rich.console import Console

from pixelbloom.cli.progress import PlainView, TerminalView, View
from pixelbloom.client import RunText

SEEN = [
    RunText("half an answ", 0, restart=False),
    RunText("Hello", 0, restart=True, retrying_with="huggingface"),
    RunText("Hi", 0, restart=True),
]

WANTED = ["half an answ", "discarded, retrying with huggingface", "Hello", "discarded", "Hi"]


def show(view: View) -> None:
    with view:
        for event in SEEN:
            view.show(event)


def in_order(text: str) -> list[str]:
    places, at = [], 0
    for part in WANTED:
        at = text.find(part, at)
        places.append(part if at >= 0 else f"missing: {part}")
        at = max(at, 0) + len(part)
    return places


def test_discarded_text_stays_in_a_pipe_and_the_next_provider_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    show(PlainView())

    assert in_order(capsys.readouterr().err) == WANTED


def test_discarded_text_stays_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(force_terminal=True, width=100, color_system=None)
    show(TerminalView(console))

    assert in_order(capsys.readouterr().out) == WANTED
