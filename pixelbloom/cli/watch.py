"""Watching a run to its end, as `invoke --watch` and `runs watch` do."""

from uuid import UUID

import typer

from pixelbloom.cli.output import FAILED, INTERRUPTED, fail, result, say, unstopped
from pixelbloom.cli.progress import view
from pixelbloom.cli.steps import step_view
from pixelbloom.client import ApiClient, RunEnded, RunWatcher

#: Seconds without a connection after which the command gives up.
GIVE_UP_SECONDS = 300.0


def watch_run(api: ApiClient, run_id: UUID, *, workflow: bool = False) -> None:
    """Show the run until it ends; then its result goes to stdout, or the command fails."""
    try:
        end = _follow(api, run_id, workflow)
    except KeyboardInterrupt:
        command = "workflows" if workflow else "runs"
        say(f"The run goes on. Watch it again with: pixelbloom {command} watch {run_id}")
        raise typer.Exit(INTERRUPTED) from None
    if not end.completed:
        fail(f"The run {end.status}{f': {unstopped(end.error)}' if end.error else ''} ({run_id})", FAILED)
    if end.result is not None:
        result(end.result)
    else:  # too large for a message
        result(api.workflow_run(run_id)["outputs"] if workflow else api.run(run_id)["result"])


def _follow(api: ApiClient, run_id: UUID, workflow: bool) -> RunEnded:
    watcher = RunWatcher(api.base_url, api.token, run_id, give_up_after=GIVE_UP_SECONDS)
    with watcher, step_view(run_id) if workflow else view() as shown:
        for event in watcher:
            shown.show(event)
            if isinstance(event, RunEnded):
                return event
    raise AssertionError("a watcher that is not closed yields the end")
