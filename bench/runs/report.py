"""The figures of all rounds as medians, beside the aims: Markdown and JSON."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: The kinds of runs.
ONE, TWO = JOBS = ("one step", "two steps")


@dataclass(frozen=True)
class Round:
    """One round of a system: rates a second, milliseconds of a submission, CPU milliseconds a run by kind of process.

    `client` is the CPU milliseconds of the load's client a request.
    """

    submitted: float
    completed: float
    p50: float
    p99: float
    cpu: Mapping[str, float]
    client: float

    @property
    def cpu_total(self) -> float:
        """The CPU milliseconds of all processes a run."""
        return sum(self.cpu.values())


@dataclass(frozen=True)
class Rest:
    """What the stack uses without work: CPU milliseconds a second by kind, database calls and Redis commands."""

    seconds: float
    cpu: Mapping[str, float]
    calls_a_minute: float
    commands_a_second: float
    commands: Mapping[str, int]

    @property
    def cpu_total(self) -> float:
        """The CPU milliseconds a second of all processes."""
        return sum(self.cpu.values())


@dataclass(frozen=True)
class Aim:
    """A limit: `at_least` or at most, of the ratio to the peer or of the own figure."""

    limit: float
    at_least: bool = False
    of_ratio: bool = False

    def describe(self, unit: str = "") -> str:
        """Return the aim in words."""
        side = "at least" if self.at_least else "at most"
        return f"{side} {self.limit:g}{' times' if self.of_ratio else unit and f' {unit}'}"

    def verdict(self, value: float) -> str:
        """Return `met`, or by how much of the limit the value misses it."""
        missed = (self.limit - value) / self.limit if self.at_least else (value - self.limit) / self.limit
        return "met" if missed <= 0 else f"missed by {missed * 100:.0f}%"


@dataclass(frozen=True)
class Figure:
    """A line of the table: the medians of ours and of a peer, and the aim."""

    name: str
    own: float
    peer: float | None = None
    unit: str = ""
    aim: Aim | None = None
    digits: int = 0

    @property
    def ratio(self) -> float | None:
        """The own figure in units of the peer's."""
        return self.own / self.peer if self.peer else None

    @property
    def verdict(self) -> str:
        """Return `met` or by how much the aim is missed; empty where there is no aim or no peer to compare with."""
        value = self.ratio if self.aim and self.aim.of_ratio else self.own
        return self.aim.verdict(value) if self.aim and value is not None else ""

    def row(self) -> str:
        """Return the line in Markdown."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        aim = self.aim.describe(self.unit) if self.aim else ""
        return f"| {self.name} | {self._text(self.own)} | {self._text(self.peer)} | {ratio} | {aim} | {self.verdict} |"

    def _text(self, value: float | None) -> str:
        return "" if value is None else f"{value:,.{self.digits}f}{self.unit and f' {self.unit}'}"


#: Of each kind of run: rates beside the bare app, and CPU milliseconds a run.
SUBMIT = {ONE: 1.0, TWO: 1.0}
COMPLETE = {ONE: 0.6, TWO: 0.8}
CPU = {ONE: 12.0, TWO: 20.0}
P99 = 2.0
LANGGRAPH = 1.2
REST_CPU = 15.0
REST_CALLS = 3.0

Rounds = Mapping[str, Sequence[Round]]


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that is not below this share (0 to 1) of all. Raises ValueError if there is none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def middle(rounds: Sequence[Round]) -> Round:
    """Return the medians of all figures of the rounds, each by itself."""

    def of(values: Iterable[float]) -> float:
        return statistics.median(values)

    kinds = dict.fromkeys(kind for one in rounds for kind in one.cpu)
    return Round(
        submitted=of(one.submitted for one in rounds),
        completed=of(one.completed for one in rounds),
        p50=of(one.p50 for one in rounds),
        p99=of(one.p99 for one in rounds),
        cpu={kind: of(one.cpu.get(kind, 0.0) for one in rounds) for kind in kinds},
        client=of(one.client for one in rounds),
    )


def figures(own: Rounds, bare: Rounds, langgraph: Sequence[Round], rest: Rest | None) -> list[Figure]:
    """Return the lines of the table. Kinds of runs without a round of both systems are left out."""
    lines: list[Figure] = []
    for job in JOBS:
        if not own.get(job) or not bare.get(job):
            continue
        a, b = middle(own[job]), middle(bare[job])
        total = [statistics.median(one.cpu_total for one in side[job]) for side in (own, bare)]
        lines += [
            Figure(f"{job}: submitted a second", a.submitted, b.submitted, aim=Aim(SUBMIT[job], True, True)),
            Figure(f"{job}: completed a second", a.completed, b.completed, aim=Aim(COMPLETE[job], True, True)),
            Figure(f"{job}: submission p50", a.p50, b.p50, "ms", digits=1),
            Figure(f"{job}: submission p99", a.p99, b.p99, "ms", Aim(P99, of_ratio=True), 1),
            Figure(f"{job}: CPU a run", total[0], total[1], "ms", Aim(CPU[job]), 1),
            *(
                Figure(f"{job}: CPU a run, {kind}", used, b.cpu.get(kind), "ms", digits=2)
                for kind, used in a.cpu.items()
            ),
            Figure(f"{job}: CPU of the load's client a request", a.client, b.client, "ms", digits=2),
        ]
        if job == TWO and langgraph:
            peer = middle(langgraph)
            name = "two steps: completed a second, beside LangGraph's dev server"
            lines.append(Figure(name, a.completed, peer.completed, aim=Aim(LANGGRAPH, True, True)))
    if rest is not None:
        lines += [
            Figure("at rest: CPU a second", rest.cpu_total, unit="ms", aim=Aim(REST_CPU), digits=1),
            *(Figure(f"at rest: CPU a second, {kind}", ms, unit="ms", digits=1) for kind, ms in rest.cpu.items()),
            Figure("at rest: database calls a minute", rest.calls_a_minute, aim=Aim(REST_CALLS)),
            Figure("at rest: Redis commands a second", rest.commands_a_second, digits=1),
        ]
    return lines


def markdown(lines: Sequence[Figure], peer: str = "bare") -> str:
    """Return the table."""
    head = f"| figure | PixelBloom | {peer} | ratio | aim | |\n| --- | ---: | ---: | ---: | --- | --- |"
    return "\n".join([head, *(line.row() for line in lines)])


def as_json(
    lines: Sequence[Figure], own: Rounds, bare: Rounds, langgraph: Sequence[Round], rest: Rest | None
) -> dict[str, Any]:
    """Return the figures with their aims, and all rounds behind them."""
    return {
        "figures": [
            {
                "name": line.name,
                "own": line.own,
                "peer": line.peer,
                "unit": line.unit,
                "ratio": line.ratio,
                "aim": line.aim and asdict(line.aim),
                "verdict": line.verdict,
            }
            for line in lines
        ],
        "rounds": {
            name: {job: [asdict(one) for one in rounds] for job, rounds in side.items()}
            for name, side in (("pixelbloom", own), ("bare", bare), ("langgraph", {TWO: langgraph}))
        },
        "rest": rest and asdict(rest),
    }
