"""Upgrades from the baseline, 0.2.0: its code on the newest schema, then the newest code on its data."""

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import ROOT
from tests.acceptance.up import RunningStack, start_stack
from tests.migrations.test_released import BASELINE
from tests.servers.ollama import OllamaServer
from tests.servers.workers import WorkerProcess

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(900)

#: Also the codes of a function or column that the database does not have.
ERRORS = re.compile(r'"level": ?"(error|critical)"|Traceback|PGRST20\d|42883|42703')
BASELINE_VERSION = '__version__ = "0.2.0"'
FIGURES = ("leads/summary", "leads/trends", "agents/summary", "agents/trends", "models/metrics", "revenue/summary")
APPROVED = {
    "workflow_id": "upgrade_approval",
    "steps": [
        {"key": "write", "agent": "chat_agent", "input": {"message": "inputs.message"}},
        {"key": "ask", "kind": "approval", "needs": ["write"], "message": "'Go on?'"},
        {"key": "reply", "agent": "chat_agent", "needs": ["ask"], "input": {"message": "outputs.write.reply"}},
    ],
}


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the baseline, from the history of this clone."""
    if git("rev-parse", "--is-shallow-repository").strip() == b"true":
        pytest.fail("the history of this clone is cut off: git fetch --unshallow")
    commits = git("log", "--reverse", "--format=%H", f"-S{BASELINE_VERSION}", "--", "pixelbloom/__init__.py").split()
    assert commits, "no commit of this history has the baseline's version"
    folder = tmp_path_factory.mktemp("baseline")
    with tarfile.open(fileobj=BytesIO(git("archive", commits[0].decode()))) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer(delay=0.02) as server:
        yield server


def pixelbloom(up: RunningStack, code: Path, *arguments: str) -> str:
    """Run a command of some version of the code beside the stack, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pixelbloom", *arguments],
        env={**os.environ, "PYTHONPATH": str(code), "PIXELBLOOM_HOME": str(up.home)},
        cwd=up.home.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def applied(up: RunningStack) -> set[str]:
    with psycopg.connect(up.database_url) as db:
        return {row[0] for row in db.execute("select version from supabase_migrations.schema_migrations")}


def invoke(up: RunningStack, message: str = "How much is a website?") -> str:
    body = {"agent_type": "chat_agent", "input": {"message": message}}
    return str(up.post("/api/agents/invoke", body)["request_id"])


def run_ends(up: RunningStack, run_id: str) -> None:
    up.wait_for(lambda: up.get(f"/api/agents/runs/{run_id}")["status"] == "completed")


def begin_approval(up: RunningStack) -> str:
    """Start a workflow and return its run's id, once it waits for a decision."""
    body = {"workflow_id": APPROVED["workflow_id"], "inputs": {"message": "What do you offer?"}}
    run_id = str(up.post("/api/agents/workflows/execute", body)["workflow_run_id"])
    up.wait_for(lambda: steps(up, run_id).get("ask") == "waiting")
    return run_id


def steps(up: RunningStack, run_id: str) -> dict[str, str]:
    found = up.get(f"/api/agents/workflows/runs/{run_id}")["steps"]
    return {step["key"]: step["status"] for step in found}


def approve(up: RunningStack, run_id: str) -> None:
    up.post(f"/api/agents/workflows/runs/{run_id}/steps/ask/approve", {"comment": "yes"})
    up.wait_for(lambda: up.get(f"/api/agents/workflows/runs/{run_id}")["status"] == "completed")
    assert steps(up, run_id) == {"write": "completed", "ask": "completed", "reply": "completed"}


def story(up: RunningStack) -> None:
    """What users do: runs, an approval, a lead, a conversation, figures."""
    run_ends(up, invoke(up))
    approve(up, begin_approval(up))
    lead = up.post("/api/leads", {"name": "Dana Reyes", "email": "dana@example.com", "message": "We need a shop."})
    assert up.get(f"/api/leads/{lead['id']}")["name"] == "Dana Reyes"
    conversation = up.post("/api/conversations", {"title": "A shop"})
    up.post(f"/api/conversations/{conversation['id']}/messages", {"content": "How much is a shop?"})
    up.wait_for(lambda: len(up.get(f"/api/conversations/{conversation['id']}/messages")["items"]) == 2)
    for figures in ("leads/summary", "agents/summary", "agents/trends"):
        up.get_as_service(f"/api/analytics/{figures}")


def no_errors(up: RunningStack) -> None:
    """The processes logged no error, and no call that the database does not know."""
    for file in (up.home / "logs").glob("*.log"):
        text = file.read_text()
        assert not re.search(r'"level": ?"(error|critical)"|Traceback|PGRST20\d|42883|42703', text), (
            file,
            text[-3000:],
        )


def figures(up: RunningStack) -> dict[str, Any]:
    """The figures of the past, which an upgrade must not change."""
    end = datetime.now(UTC).date() - timedelta(days=1)
    dates = f"start_date={end - timedelta(days=89)}&end_date={end}"
    return {path: up.get_as_service(f"/api/analytics/{path}?{dates}") for path in FIGURES}


def facts(up: RunningStack, run_ids: list[str]) -> dict[str, Any]:
    """What must be the same after an upgrade, as the API returns it."""
    with psycopg.connect(up.database_url) as db:
        counts = {
            table: db.execute(f"select count(*) from public.{table}").fetchone()  # type: ignore[arg-type]  # noqa: S608
            for table in ("leads", "conversations", "messages", "notifications", "user_subscriptions", "agent_logs")
        }
    return {
        "runs": [up.get(f"/api/agents/runs/{run_id}") for run_id in run_ids],
        "counts": counts,
    }


@pytest.mark.slow
def test_old_code_works_on_the_new_schema_and_new_code_on_the_old_data(
    old_code: Path, ollama: OllamaServer, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with start_stack(home, OLLAMA_HOST=ollama.url, PYTHONPATH=str(old_code)) as up:
        user = up.user_id
        assert max(applied(up)) == BASELINE
        pixelbloom(up, old_code, "seed", "--yes")
        up.post_as_service("/api/agents/workflows", APPROVED)
        done = [invoke(up) for _ in range(3)]
        for run_id in done:
            run_ends(up, run_id)
        waiting = [begin_approval(up), begin_approval(up)]
        past = figures(up)
        assert past["agents/summary"]["by_agent"]

        # A rolling deploy: the schema first, then processes of both versions side by side.
        pixelbloom(up, ROOT, "migrate")
        assert applied(up) == {path.name.partition("_")[0] for path in (ROOT / "supabase/migrations").glob("*.sql")}
        assert figures(up) == past
        story(up)
        values = {name.upper(): str(getattr(up.settings, name)) for name in ("redis_url", "supabase_url")}
        keys = {name.upper(): up.settings.require(name) for name in ("supabase_service_role_key", "database_url")}
        rest = {"SUPABASE_REST_URL": up.settings.require("supabase_rest_url"), "OLLAMA_HOST": ollama.url}
        new_worker = WorkerProcess("agents", {**values, **keys, **rest, "LOG_FORMAT": "json"}, tmp_path)
        try:
            up.kill_process("workers.agents")  # the supervisor starts the old one again
            runs = [invoke(up) for _ in range(30)]
            for run_id in runs:
                run_ends(up, run_id)
            with psycopg.connect(up.database_url) as db:
                row = db.execute(
                    "select count(*) from public.agent_logs where run_id = any(%s) and event = 'step_completed'",
                    (runs,),
                ).fetchone()
            assert row == (30,)
            assert "Traceback" not in new_worker.output
        finally:
            new_worker.end()
        approve(up, waiting[0])
        no_errors(up)
        before = facts(up, done)
        assert up.stop() == 0

    with start_stack(home, OLLAMA_HOST=ollama.url) as up:
        up.user_id = user
        assert facts(up, done) == before
        assert figures(up) == past
        approve(up, waiting[1])
        story(up)
        no_errors(up)
