"""Measures runs beside a bare Flask and Celery app: `python -m bench.runs`, which is part of `make bench`.

`--quick` is `make bench-quick`. It ends in `--seconds`: after those it starts no further round, a quarter later
it gives up. All processes end with it, also on Ctrl-C and SIGTERM.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench.runs import measure, report
from bench.runs.langgraph import LangGraph, Unavailable, installed
from bench.runs.sides import Bare, PixelBloom, Side
from tests.stack import Stack

_BEGAN = time.monotonic()


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line, those of `--quick` filled in."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs", description="Measure runs beside a bare Celery app.")
    parser.add_argument("--quick", action="store_true", help="two minutes, for before and after a change")
    parser.add_argument("--rounds", type=_positive, help="rounds of each system and kind of run (5; quick: 3)")
    parser.add_argument("--runs", type=_positive, help="runs a round (500; quick: 150)")
    parser.add_argument("--rest", type=_positive, help="seconds at rest (60; quick: 20)")
    parser.add_argument("--settle", type=_positive, help="most seconds until it is at rest (120; quick: 35)")
    parser.add_argument("--seconds", type=_positive, help="seconds for all of it (540; quick: 110)")
    parser.add_argument("--langgraph", action="store_true", help="measure LangGraph's dev server too, from PyPI")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and rounds to a file")
    found = parser.parse_args(arguments)
    defaults = {"rounds": (5, 3), "runs": (500, 150), "rest": (60, 20), "settle": (120, 35), "seconds": (540, 110)}
    for name, (usual, quick) in defaults.items():
        if getattr(found, name) is None:
            setattr(found, name, quick if found.quick else usual)
    return found


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _say(text: str) -> None:
    print(f"{time.monotonic() - _BEGAN:4.0f} s  {text}", file=sys.stderr, flush=True)


class OutOfTime(BaseException):
    """The time for everything is over. Like KeyboardInterrupt, it is no error that the code below may handle."""


def _give_up(number: int, _: FrameType | None) -> NoReturn:
    if number == signal.SIGALRM:
        raise OutOfTime
    raise SystemExit(128 + number)


class Bench:
    """The systems, and what was measured of them so far."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self.seconds: float = chosen.seconds
        self._rest: report.Rest | None = None
        self._found: dict[str, dict[str, list[report.Round]]] = {
            side: {job: [] for job in report.JOBS} for side in (PixelBloom.name, Bare.name, LangGraph.name)
        }

    @property
    def complete(self) -> bool:
        """Whether there is a round of PixelBloom and of the bare app of each kind of run."""
        return all(self._found[side][job] for side in (PixelBloom.name, Bare.name) for job in report.JOBS)

    def run(self) -> None:
        """Start the systems, measure, and end all processes."""
        with ExitStack() as ending:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="pb-bench-"))
            stack = Stack(Path(folder), durable=True)
            ending.callback(stack.close)
            _say("starting the stack ...")
            stack.start_servers()
            pixelbloom = ending.enter_context(closing(PixelBloom(stack)))
            measure.warm_up(pixelbloom, report.JOBS)
            _say(f"coming to rest, then {self._chosen.rest} s at rest ...")
            self._rest = measure.at_rest(
                pixelbloom, stack.database_url, stack.redis_url, self._chosen.rest, settle=self._chosen.settle
            )
            sides: list[Side] = [pixelbloom]
            with measure.alone(None, [pixelbloom]):
                _say("starting the bare app ...")
                sides.append(ending.enter_context(closing(Bare(stack))))
                measure.warm_up(sides[-1], report.JOBS)
            if self._chosen.langgraph:
                sides += self._langgraph(stack, ending, sides)
            self._rounds(sides)
            _say("stopping ...")

    def _langgraph(self, stack: Stack, ending: ExitStack, others: Sequence[Side]) -> list[Side]:
        _say("starting LangGraph's dev server ...")
        try:
            folder = installed()  # while nothing is stopped: it takes a minute
            with measure.alone(None, others):
                server = ending.enter_context(closing(LangGraph(stack, folder)))
                measure.warm_up(server, [report.TWO])
        except Unavailable as error:
            _say(f"without LangGraph: {error}")
            return []
        return [server]

    def _rounds(self, sides: Sequence[Side]) -> None:
        """Measure in turns until all rounds are done, or another one would not end in time."""
        longest = 0.0
        for number in range(self._chosen.rounds):
            began = time.monotonic()
            if began + longest > _BEGAN + self._chosen.seconds:
                _say(f"no time for more than {number} of {self._chosen.rounds} rounds")
                return
            for job in report.JOBS:
                for side in sides:
                    if job in side.jobs:
                        self._round(number, job, side, sides)
            longest = max(longest, time.monotonic() - began)

    def _round(self, number: int, job: str, side: Side, sides: Sequence[Side]) -> None:
        with measure.alone(side, sides):
            one = measure.one_round(side, job, self._chosen.runs)
        self._found[side.name][job].append(one)
        _say(
            f"round {number + 1}, {job}, {side.name}: {one.submitted:.0f} submitted and "
            f"{one.completed:.0f} completed a second, {one.cpu_total:.1f} ms of CPU a run"
        )

    def report(self) -> str:
        """Return the table, below a line about the machine. Writes the JSON file where one is wanted."""
        own, bare, peers = (self._found[side] for side in (PixelBloom.name, Bare.name, LangGraph.name))
        lines = report.figures(own, bare, peers[report.TWO], self._rest)
        if self._chosen.json:
            document = report.as_json(lines, own, bare, peers[report.TWO], self._rest)
            self._chosen.json.write_text(json.dumps(document, indent=2) + "\n")
        rounds = ", ".join(f"{min(len(own[job]), len(bare[job]))} of {job}" for job in report.JOBS)
        head = (
            f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; "
            f"{self._chosen.runs} runs a round, {measure.AT_ONCE} in flight; medians of rounds: {rounds}"
        )
        return f"{head}\n\n{report.markdown(lines)}"


def main(arguments: Sequence[str]) -> int:
    """Measure and print the table. Returns 1 if no round of both systems ended in time."""
    bench = Bench(options(arguments))
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, _give_up)
    signal.alarm(int(bench.seconds * 1.25))
    try:
        bench.run()
    except (OutOfTime, TimeoutError) as error:
        _say(f"out of time, with the rounds until then: {error!r}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    signal.alarm(0)
    print(bench.report())
    return 0 if bench.complete else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
