import io
import json

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.cli.output import printable, reported, result
from pixelbloom.cli.progress import Lines, PlainView
from pixelbloom.client import Lost, RunEnded, RunProgress, RunText
from pixelbloom.client.errors import ApiError
from pixelbloom.errors import FieldError


def text(*pieces: str) -> list[RunText]:
    events, at = [], 0
    for piece in pieces:
        events.append(RunText(piece, at, restart=False))
        at += len(piece)
    return events


def shown(*events: object) -> list[str]:
    view = PlainView()
    with view:
        for event in events:
            view.show(event)
    return []


@given(st.text())
def test_no_control_character_reaches_the_terminal(written: str) -> None:
    clean = printable(written)
    assert not any(ord(char) < 32 and char not in "\n\t" for char in clean)
    assert not any(127 <= ord(char) < 160 for char in clean)
    clean.encode()


@given(st.lists(st.text(alphabet="ab \n", max_size=30)), st.integers(3, 20))
def test_streamed_text_is_cut_into_lines_without_losing_a_word(pieces: list[str], width: int) -> None:
    lines = Lines(width)
    out = [line for event in text(*pieces) for line in lines.add(event)] + lines.flush()
    assert all(len(line) <= width for line in out)
    assert "".join("".join(out).split()) == "".join("".join(pieces).split())


def test_a_gap_in_the_text_is_marked() -> None:
    lines = Lines(80)
    lines.add(RunText("one ", 0, restart=False))
    lines.add(RunText("three", 8, restart=False))
    assert lines.flush() == ["one [...]three"]


def test_a_restart_discards_the_current_line() -> None:
    lines = Lines(80)
    lines.add(RunText("wrong", 0, restart=False))
    lines.add(RunText("right", 0, restart=True))
    assert lines.flush() == ["right"]


def test_in_a_pipe_a_run_is_printed_as_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    shown(
        RunProgress("queued", 0.0, ""),
        RunProgress("running", 0.0, "lead_agent"),
        *text("Hello\nwor", "ld\x1b[31m"),
        RunProgress("running", 0.01, "lead_agent"),
        RunProgress("running", 0.12, "lead_agent"),
        Lost(1012, "the server restarts.", 0.5),
        RunProgress("completed", 1.0, "lead_agent"),
        RunEnded("completed", {}, None, {}),
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "queued 0%",
        "running 0% lead_agent",
        "| Hello",
        "running 12% lead_agent",
        "connection lost: the server restarts; trying again in 0.5 s",
        "| world[31m",
        "completed 100% lead_agent",
    ]


@pytest.mark.parametrize(
    ("message", "details", "said"),
    [
        ("There is no such run.", (), "There is no such run."),
        (
            "The input is wrong.",
            (FieldError("budget", "Write a number."), FieldError("name", "too long")),
            "The input is wrong; budget: Write a number; name: too long",
        ),
    ],
)
def test_an_error_response_with_details_is_one_sentence(
    message: str, details: tuple[FieldError, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @reported
    def command() -> None:
        raise ApiError(message, status=400, code="BAD_REQUEST", details=details)

    with pytest.raises(typer.Exit):
        command()
    assert capsys.readouterr().err == f"{said}\n"


@pytest.mark.parametrize(
    "value", [{"name": "André"}, {"bad": "\ud800"}, {"escape": "\x1b[2J\x9b2J"}, {"n": 1.5, "none": None, "l": [1]}]
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_result_on_stdout_is_always_json(value: object, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    result(value)
    written = raw.getvalue().decode(encoding)
    assert json.loads(written) == value
    assert not any(127 <= ord(char) < 160 for char in written)
