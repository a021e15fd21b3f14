"""Commands as processes."""

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

from tests import ROOT
from tests.waiting import SECONDS, within

#: The commands of the test that runs.
started: list[subprocess.Popen[str]] = []


def end_started() -> None:
    """Kill commands that are still running after a failed test."""
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=SECONDS)
    started.clear()


def interruptible() -> None:
    """A shell that runs the tests in the background has them ignore SIGINT, and with them their children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(live: dict[str, str], *arguments: str, **options: Any) -> subprocess.Popen[str]:
    options = {"preexec_fn": interruptible, **options}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen(
        [sys.executable, "-m", "pixelbloom", *arguments], env=live, cwd=ROOT, text=True, **streams
    )
    started.append(process)
    return process


def said_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """The lines on stderr up to one with these words. What follows is left in the pipe, for `communicate`."""
    lines: list[str] = []

    def line() -> bytes:
        assert process.stderr is not None
        read = b""
        while not read.endswith(b"\n") and (byte := os.read(process.stderr.fileno(), 1)):
            read += byte
        return read

    def read() -> None:
        while not lines or words not in lines[-1]:
            lines.append(line().decode())
            assert lines[-1], f"it ended before it said {words!r}: {lines}"

    within(read, saw=lambda: lines)
    return lines


def shown(terminal: int, words: bytes | None = None) -> bytes:
    """What is written to a terminal until these words, or until all its writers have ended."""
    seen = b""

    def read() -> None:
        nonlocal seen
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while (words is None or words not in seen) and (part := os.read(terminal, 65536)):
                seen += part

    within(read, saw=lambda: seen)
    return seen


def run(live: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    process = start(live, *arguments)
    out, err = process.communicate(stdin, timeout=SECONDS)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)
