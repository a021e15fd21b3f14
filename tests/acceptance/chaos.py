"""Runs of all kinds while a seeded script kills processes and servers; then the database is audited.

`python -m tests.acceptance.chaos --seeds 20` is `make chaos`; `--seed 7 --seeds 1` plays one seed again.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.acceptance.chaos_play import Chaos, Report
from tests.acceptance.chaos_workload import FlakyOllama
from tests.acceptance.up import RunningStack, end


def one_seed(home: Path, *, seed: int, runs: int, kills: int) -> Report:
    """Run one seed on a new stack and remove it."""
    with FlakyOllama(seed) as model:
        stack = RunningStack(home, OLLAMA_HOST=model.url, LEASE_SECONDS="4", RUN_RATE_LIMIT="off")
        stack.start()
        try:
            stack.wait_ready()
            report = Chaos(stack, seed=seed, runs=runs, kills=kills).play()
            if report.errors:
                (home.parent / f"chaos-{seed}.log").write_text(stack.output)
            return report
        finally:
            end(stack)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--kills", type=int, default=12)
    wanted = parser.parse_args(arguments)
    reports = []
    for seed in range(wanted.seed, wanted.seed + wanted.seeds):
        folder = Path(tempfile.mkdtemp(prefix="pb-chaos-"))
        report = one_seed(folder / "home", seed=seed, runs=wanted.runs, kills=wanted.kills)
        print(report.line(), flush=True)  # noqa: T201  (the command's output)
        reports.append(report)
        if report.errors:
            print(f"  play it again with --seed {seed} --seeds 1; the stack's words are in {folder}")  # noqa: T201
        else:
            shutil.rmtree(folder, ignore_errors=True)
    kills = sum((report.kills for report in reports), Counter())
    killed = ", ".join(f"{name} {count}" for name, count in sorted(kills.items()))
    print(  # noqa: T201
        f"{len(reports)} seeds: {sum(kills.values())} kills ({killed}), "
        f"{sum(r.runs for r in reports)} runs, {sum(r.steps for r in reports)} steps, "
        f"{sum(r.redeliveries for r in reports)} redeliveries, "
        f"{sum(r.second_attempts for r in reports)} further attempts, "
        f"{sum(r.duplicates_dropped for r in reports)} duplicates dropped, "
        f"{sum(bool(r.errors) for r in reports)} seeds with errors"
    )
    return int(any(report.errors for report in reports))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
