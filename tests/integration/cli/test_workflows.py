"""`pixelbloom workflows` and the control of runs, against the real tiers; only Ollama is a stand-in."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import ROOT
from tests.integration.cli.commands import end_started, run, said_until, shown, start
from tests.servers.ollama import OllamaServer

LEAD = '{"company": "Northwind", "message": "We need a new website."}'
CAMPAIGN = '{"company": "Northwind", "product": "An app", "monthly_budget": 4000}'


@pytest.fixture(scope="module")
def live(stack: Any) -> Iterator[dict[str, str]]:
    with OllamaServer() as model:
        web, agents = stack.start("web"), stack.start("agents", env={"OLLAMA_HOST": model.url})
        yield {
            **stack.env,
            "API_URL": web.url,
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ["PATH"],
            "COLUMNS": "120",
        }
        web.kill()
        agents.stop()


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    end_started()


def test_the_built_in_workflows_are_listed_and_shown(live: dict[str, str]) -> None:
    listed = json.loads(run(live, "workflows", "list").stdout)
    assert {"campaign_launch", "lead_intake", "support_triage"} <= {item["workflow_id"] for item in listed["items"]}
    one = json.loads(run(live, "workflows", "show", "lead_intake@1").stdout)
    assert [step["key"] for step in one["steps"]] == ["qualify", "recommend", "reply"]
    missing = run(live, "workflows", "show", "lead_intake@99")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "has no version 99; it has 1" in missing.stderr


def test_a_run_shows_its_steps_and_prints_its_outputs(live: dict[str, str]) -> None:
    done = run(live, "workflows", "run", "lead_intake", "--inputs", LEAD)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"qualify", "recommend", "reply"}
    lines = done.stderr.splitlines()
    assert lines[0].startswith("run ")
    ends = [line for line in lines if " completed " in line]
    assert [line.split()[0] for line in ends] == ["qualify", "recommend", "reply"]
    assert lines[-1] == "reply completed (100%)"


def test_on_a_terminal_the_steps_are_a_tree(live: dict[str, str]) -> None:
    master, slave = pty.openpty()
    process = start({**live, "TERM": "xterm"}, "workflows", "run", "lead_intake", "--inputs", LEAD, stderr=slave)
    os.close(slave)
    seen = shown(master)
    os.close(master)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert set(json.loads(out)) == {"qualify", "recommend", "reply"}
    text = seen.decode(errors="replace")
    for key in ("qualify", "recommend", "reply"):
        assert f"✓ {key}" in text
    assert "completed 100%" in text


def test_a_waiting_run_prints_the_deciding_command_and_continues_after_it(live: dict[str, str]) -> None:
    process = start(live, "workflows", "run", "campaign_launch", "--inputs", CAMPAIGN)
    lines = said_until(process, "pixelbloom workflows approve")
    run_id = lines[0].split()[1]
    assert f"approve {run_id} approve" in lines[-1]
    decided = run(live, "workflows", "approve", run_id, "approve", "--comment", "Go")
    assert decided.returncode == 0, decided.stderr
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert json.loads(out)["approve"]["comment"] == "Go"
    again = run(live, "workflows", "reject", run_id, "approve")
    assert (again.returncode, again.stdout) == (3, "")
    assert "only a waiting step can be decided" in again.stderr
    replayed = run(live, "workflows", "replay", run_id)
    other = json.loads(replayed.stdout)["workflow_run_id"]
    assert json.loads(run(live, "workflows", "cancel", other).stdout)["workflow_run_id"] == other
    refused = run(live, "workflows", "retry", run_id)
    assert (refused.returncode, "Replay makes a new run" in refused.stderr) == (3, True)


def test_a_run_that_fails_fails_the_command(live: dict[str, str]) -> None:
    refused = run(live, "workflows", "run", "lead_intake", "--inputs", "{}")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "inputs" in refused.stderr
    unknown = run(live, "workflows", "run", "no_such_workflow")
    assert (unknown.returncode, "no such workflow" in unknown.stderr) == (3, True)


def test_agent_runs_are_cancelled_retried_and_replayed(live: dict[str, str]) -> None:
    run_id = json.loads(run(live, "invoke", "chat_agent", "--input", '{"message": "hello"}').stdout)["request_id"]
    assert run(live, "runs", "watch", run_id).returncode == 0
    refused = run(live, "runs", "cancel", run_id)
    assert (refused.returncode, "only a queued or running run" in refused.stderr) == (3, True)
    again = json.loads(run(live, "runs", "replay", run_id).stdout)
    assert again["replay_of"] == run_id
    nobodys = run(live, "runs", "retry", str(uuid4()))
    assert (nobodys.returncode, "not yours" in nobodys.stderr) == (3, True)


def test_a_file_is_checked_without_a_server(tmp_path: Path) -> None:
    def validate(text: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "workflow.json"
        file.write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "pixelbloom", "workflows", "validate", str(file)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    step = {"key": "a", "agent": "chat_agent", "input": {"message": "inputs.message"}}
    valid = validate(json.dumps({"workflow_id": "test", "steps": [step, {**step, "key": "b", "needs": ["a"]}]}))
    assert (valid.returncode, valid.stdout) == (0, "")
    assert valid.stderr.splitlines() == ["test is valid: 2 steps, 1 edges", "  a", "  b <- a"]
    invalid = validate(json.dumps({"workflow_id": "test", "steps": [{**step, "needs": ["z"]}, {**step, "key": "A"}]}))
    assert invalid.returncode == 2
    assert "steps.1.key: must be a name of lower-case letters" in invalid.stderr
    for text in ("{", "[]"):
        malformed = validate(text)
        assert (malformed.returncode, len(malformed.stderr.splitlines())) == (2, 1)
