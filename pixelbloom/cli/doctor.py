"""`pixelbloom doctor`: is each outside part reachable, and what to do if not."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pixelbloom.cli.output import FAILED, printable, reported, result
from pixelbloom.config import Settings, load

MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "down": ("DOWN", "red"), "off": ("off", "dim")}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


@reported
def doctor(as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False) -> None:
    """Check every part that PixelBloom works with. Fails where a required one is down."""
    findings = examine(load())
    healthy = not any(row["required"] and row["state"] == "down" for row in findings)
    if as_json:
        result({"ok": healthy, "checks": findings})
    elif sys.stdout.isatty():
        Console().print(table(findings))
    else:
        for row in findings:
            advice = f" -> {row['advice']}" if row["advice"] else ""
            print(f"{MARKS[str(row['state'])][0]:8}{row['name']}: {row['detail']}{advice}")
    if not healthy:
        raise typer.Exit(FAILED)


def examine(settings: Settings) -> list[dict[str, object]]:
    """Check all parts concurrently, so that none delays the others."""
    # Imported here, for the other commands start faster without every client library.
    from pixelbloom.cli.checks import Check, checks
    from pixelbloom.cli.findings import Finding, State

    def ask(check: Check) -> Finding:
        try:
            return check.ask(settings)
        except Exception as error:
            state = State.DOWN if check.required else State.WARNING
            if isinstance(error, UnicodeEncodeError):
                return Finding(state, "its key holds characters that no key has", "copy the key once more")
            return Finding(state, f"the check itself failed ({type(error).__name__})", "please report this")

    chosen = checks(settings)
    with ThreadPoolExecutor(len(chosen)) as pool:
        findings = list(pool.map(ask, chosen))
    return [
        {
            "name": check.name,
            "required": check.required,
            "state": str(finding.state),
            "detail": printable(finding.detail),
            "advice": finding.advice,
        }
        for check, finding in zip(chosen, findings, strict=True)
    ]


def table(findings: Sequence[dict[str, object]]) -> Table:
    """The findings for a terminal."""
    grid = Table(box=None, pad_edge=False, show_header=False)
    for row in findings:
        word, style = MARKS[str(row["state"])]
        grid.add_row(Text(word, style=style), Text(str(row["name"]), style="bold"), Text(str(row["detail"])))
        if row["advice"] and row["state"] != "ok":
            grid.add_row("", "", Text(f"-> {row['advice']}", style=style))
    return grid
