"""`pixelbloom workflows`: list, show, run and check workflows, and control their runs."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from pixelbloom.cli.connect import connect, parse_uuid
from pixelbloom.cli.documents import read_object, read_text
from pixelbloom.cli.invoke import ApiUrl, TokenOption, read_input
from pixelbloom.cli.output import USAGE, fail, literal, reported, result, say
from pixelbloom.cli.watch import watch_run
from pixelbloom.errors import InvalidInput
from pixelbloom.workflows.graph import edges, order
from pixelbloom.workflows.reading import read_definition

Name = Annotated[str, typer.Argument(metavar="WORKFLOW", help="Its name, like lead_intake; with @2 that version.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's workflow_run_id.")]
StepKey = Annotated[str, typer.Argument(metavar="STEP", help="The step's key.")]
Comment = Annotated[str, typer.Option(help="Stored with the decision.")]
UserId = Annotated[str | None, typer.Option(help="The runs' owner, where the token is made here.")]


def register(app: typer.Typer) -> None:
    workflows = typer.Typer(no_args_is_help=True, help="List, show, run and check workflows, and control their runs.")
    workflows.command("list")(list_workflows)
    workflows.command("show")(show)
    workflows.command("run")(run)
    workflows.command("watch")(watch)
    workflows.command("validate")(validate)
    workflows.command("approve")(approve)
    workflows.command("reject")(reject)
    workflows.command("cancel")(cancel)
    workflows.command("retry")(retry)
    workflows.command("replay")(replay)
    app.add_typer(workflows, name="workflows")


@reported
def list_workflows(
    as_json: Annotated[bool, typer.Option("--json", help="JSON also on a terminal.")] = False,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """List the workflows: a table on a terminal, the API's JSON otherwise."""
    with connect(api_url, token) as api:
        page = api.workflows()
    if as_json or not sys.stdout.isatty():
        result(page)
        return
    Console().print(table(page["items"]))


def table(items: list[dict[str, Any]]) -> Table:
    """The workflows for a terminal."""
    grid = Table("WORKFLOW", "VERSION", "STEPS", "DESCRIPTION", box=None, pad_edge=False)
    for item in items:
        steps = str(len(item["steps"]))
        row = (item["workflow_id"], str(item["version"]), steps, item["description"])
        grid.add_row(*(literal(str(text)) for text in row))
    return grid


@reported
def show(name: Name, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Print a workflow's definition as JSON, the newest version or that after an @."""
    workflow_id, _, version = name.partition("@")
    with connect(api_url, token) as api:
        found = api.workflow(workflow_id)
        versions: list[dict[str, Any]] = found.pop("versions")
        while version and (cursor := found.pop("versions_cursor")):
            page = api.workflow(workflow_id, cursor=cursor)
            versions += page["versions"]
            found["versions_cursor"] = page["versions_cursor"]
    found.pop("versions_cursor", None)
    if version:
        one = next((item for item in versions if str(item["version"]) == version), None)
        if one is None:
            known = ", ".join(str(item["version"]) for item in versions)
            raise InvalidInput(f"{workflow_id} has no version {version}; it has {known}")
        found = one
    result(found)


@reported
def run(
    name: Name,
    inputs: Annotated[str, typer.Option("--inputs", "--input", help="A JSON object, @FILE, or - for stdin.")] = "{}",
    watch: Annotated[bool, typer.Option(help="Show its steps live and print its outputs.")] = True,
    user_id: UserId = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key and inputs give the same run.")] = None,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """Run a workflow; shows its steps live and prints its outputs as JSON. Fails where the run failed."""
    user = _user(user_id)
    given = read_input(inputs)
    with connect(api_url, token, user) as api:
        accepted = api.execute(name, given, user_id=user, idempotency_key=idempotency_key)
        if not watch:
            result(accepted)
            return
        run_id = UUID(accepted["workflow_run_id"])
        say(f"run {run_id}")
        watch_run(api, run_id, workflow=True)


@reported
def watch(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Show the steps of a run live until it ends, then print its outputs as JSON."""
    run = parse_uuid(run_id, "The run's id")
    with connect(api_url, token, _user(user_id)) as api:
        watch_run(api, run, workflow=True)


@reported
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A definition as JSON.")],
) -> None:
    """Check a definition without sending it anywhere: every error by its place, one a line."""
    body = read_object(read_text(file, str(file)), str(file), example='{"workflow_id": "...", "steps": [...]}')
    try:
        definition = read_definition(body)
    except InvalidInput as error:
        for detail in error.details:
            say(f"{detail.field}: {detail.message}")
        fail(f"{file} is invalid: {len(error.details)} errors", USAGE)
    say(f"{definition.workflow_id} is valid: {len(definition.steps)} steps, {len(edges(definition))} edges")
    for step in order(definition.steps):
        needs = ", ".join(step.needs)
        say(f"  {step.key} <- {needs}" if needs else f"  {step.key}")


@reported
def approve(
    run_id: RunId,
    step: StepKey,
    comment: Comment = "",
    user_id: UserId = None,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """Approve a step that waits for a decision. Prints the run as JSON."""
    _decide(run_id, step, comment, user_id, token, api_url, approved=True)


@reported
def reject(
    run_id: RunId,
    step: StepKey,
    comment: Comment = "",
    user_id: UserId = None,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """Reject a step that waits for a decision. Prints the run as JSON."""
    _decide(run_id, step, comment, user_id, token, api_url, approved=False)


@reported
def cancel(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Stop a run. Prints it as JSON."""
    _act(run_id, "cancel", user_id, token, api_url)


@reported
def retry(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Retry a failed or cancelled run from where it failed. Prints it as JSON."""
    _act(run_id, "retry", user_id, token, api_url)


@reported
def replay(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Run the same version again with the same inputs. Prints the API's response as JSON."""
    _act(run_id, "replay", user_id, token, api_url)


def _decide(
    run_id: str, step: str, comment: str, user_id: str | None, token: str | None, api_url: str | None, *, approved: bool
) -> None:
    run = parse_uuid(run_id, "The run's id")
    with connect(api_url, token, _user(user_id)) as api:
        result(api.decide(run, step, approved=approved, comment=comment))


def _act(
    run_id: str,
    action: Literal["cancel", "retry", "replay"],
    user_id: str | None,
    token: str | None,
    api_url: str | None,
) -> None:
    run = parse_uuid(run_id, "The run's id")
    with connect(api_url, token, _user(user_id)) as api:
        result(api.act(run, action, workflow=True))


def _user(user_id: str | None) -> UUID | None:
    return None if user_id is None else parse_uuid(user_id, "--user-id")
