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
from bench.runs.sides import Bare, PixelBloom, Side
from tests.stack import Stack

_BEGAN = time.monotonic()


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line, those of `--quick` filled in."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs", description="Measure runs beside a bare Celery app.")
    parser.add_argument("--quick", action="store_true", help="two minutes, for before and after a change")
    parser.add_argument("--rounds", type=_positive, help="rounds of each system and kind of run (5; quick: 3)")
    parser.add_argument("--runs", type=_positive, help="runs a round (500; quick: 150)")
    parser.add_argument("--rest", type=_positive, help="seconds at rest (20; quick: 10)")
    parser.add_argument("--seconds", type=_positive, help="seconds for all of it (540; quick: 110)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and rounds to a file")
    found = parser.parse_args(arguments)
    defaults = {"rounds": (5, 3), "runs": (500, 150), "rest": (20, 10), "seconds": (540, 110)}
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


def _give_up(number: int, _: FrameType | None) -> NoReturn:
    if number == signal.SIGALRM:
        raise TimeoutError("the benchmark took too long")
    raise SystemExit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """Run the rounds and print the table. Returns 1 if no round of both systems ended in time."""
    chosen = options(arguments)
    deadline = time.monotonic() + chosen.seconds
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, _give_up)
    signal.alarm(int(chosen.seconds * 1.25))
    own: dict[str, list[report.Round]] = {job: [] for job in report.JOBS}
    bare: dict[str, list[report.Round]] = {job: [] for job in report.JOBS}
    with ExitStack() as ending:
        folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="pb-bench-"))
        stack = Stack(Path(folder), durable=True)
        ending.callback(stack.close)
        _say("starting the stack and the bare app ...")
        stack.start_servers()
        pixelbloom = ending.enter_context(closing(PixelBloom(stack)))
        sides: list[Side] = [pixelbloom, ending.enter_context(closing(Bare(stack)))]
        _say("warming up ...")
        measure.warm_up(sides, report.JOBS)
        _say(f"at rest for {chosen.rest} s ...")
        rest = measure.at_rest(pixelbloom, sides, stack.database_url, stack.redis_url, chosen.rest)
        try:
            _rounds(sides, chosen, deadline, (own, bare))
        except TimeoutError as error:
            _say(f"{error}; these are the rounds until then")
        _say("stopping ...")
    signal.alarm(0)
    lines = report.figures(own, bare, [], rest)
    counts = {job: min(len(own[job]), len(bare[job])) for job in report.JOBS}
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; "
        f"{chosen.runs} runs a round, {measure.AT_ONCE} in flight; medians of rounds: "
        + ", ".join(f"{count} of {job}" for job, count in counts.items())
        + "\n"
    )
    print(report.markdown(lines))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.as_json(lines, own, bare, [], rest), indent=2) + "\n")
    return 0 if all(counts.values()) else 1


def _rounds(
    sides: Sequence[Side],
    chosen: argparse.Namespace,
    deadline: float,
    found: Sequence[dict[str, list[report.Round]]],
) -> None:
    """Measure in turns until all rounds are done, or another one would not end in time."""
    longest = 0.0
    for number in range(chosen.rounds):
        if time.monotonic() + longest > deadline:
            _say(f"no time for more than {number} of {chosen.rounds} rounds")
            return
        began = time.monotonic()
        for job in report.JOBS:
            for side, rounds in zip(sides, found, strict=True):
                with measure.alone(side, sides):
                    rounds[job].append(measure.one_round(side, job, chosen.runs))
                last = rounds[job][-1]
                _say(
                    f"round {number + 1}, {job}, {side.name}: {last.submitted:.0f} submitted and "
                    f"{last.completed:.0f} completed a second, {last.cpu_total:.1f} ms of CPU a run"
                )
        longest = max(longest, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
