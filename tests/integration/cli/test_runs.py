"""The commands against the real web tier, worker and stores; only Ollama is a stand-in."""

import json
import os
import pty
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest

from pixelbloom.client import ApiClient
from tests import ROOT
from tests.integration.cli.commands import end_started, run, said_until, shown, start
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.waiting import SECONDS, until

TALK = ("--input", '{"message": "What does a small website cost?"}')


@pytest.fixture(scope="module")
def model() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


@pytest.fixture(scope="module")
def live(stack: Any, model: OllamaServer) -> Iterator[dict[str, str]]:
    """The environment of a stack whose web tier and agents worker run."""
    web = stack.start("web")
    # A reply that a test holds, or a slow machine, must not end by a timeout.
    agents = stack.start("agents", env={"OLLAMA_HOST": model.url, "MODEL_TIMEOUT": "600"})
    yield {
        **stack.env,
        "API_URL": web.url,
        "WEB_PID": str(web.pid),
        "OLLAMA_HOST": model.url,
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
        "COLUMNS": "100",
    }
    web.kill()
    agents.stop()


@pytest.fixture(autouse=True)
def _fresh(model: OllamaServer) -> Iterator[None]:
    model.reset()
    yield
    end_started()


def submitted(live: dict[str, str], *more: str) -> str:
    result = run(live, "invoke", "chat_agent", *TALK, *more)
    assert result.returncode == 0, result.stderr
    return str(json.loads(result.stdout)["request_id"])


def test_invoke_prints_the_response_of_the_api_at_once(live: dict[str, str], model: OllamaServer) -> None:
    model.always(Script(first_delay=5))
    result = run(live, "invoke", "chat_agent", *TALK)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    response = json.loads(result.stdout)
    assert (response["status"], response["error"]) == ("queued", None)
    assert UUID(response["request_id"])


def test_watch_shows_the_text_as_it_comes_and_prints_the_result_alone(
    live: dict[str, str], model: OllamaServer
) -> None:
    model.always(Script(pieces=["It starts\n", "at four ", "thousand dollars."], hold_after=1, delay=0.2))
    process = start(live, "invoke", "chat_agent", *TALK, "--watch")
    begun = said_until(process, "| It starts")
    model.going_on.set()
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert "It starts\nat four thousand dollars." in json.loads(out)["reply"]
    said = ("".join(begun) + err).splitlines()
    assert said[0].startswith("run ")
    assert [line for line in said if line.startswith("| ")] == ["| It starts", "| at four thousand dollars."]
    assert said[-1] == "completed 100% chat_agent"


def test_on_a_terminal_there_is_a_progress_bar_and_stdout_is_still_json(
    live: dict[str, str], model: OllamaServer
) -> None:
    model.always(Script(pieces=["It starts\n", "at four thousand dollars."], hold_after=1, delay=0.3))
    parent, child = pty.openpty()
    process = start({**live, "TERM": "xterm"}, "invoke", "chat_agent", *TALK, "--watch", stderr=child)
    os.close(child)
    seen = shown(parent, b"It starts")
    model.going_on.set()
    seen += shown(parent)
    os.close(parent)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "reply" in json.loads(out)
    assert b"100%" in seen


def test_a_run_that_fails_ends_the_command_with_1_and_the_reason(live: dict[str, str]) -> None:
    missing = {"lead_id": str(uuid4())}
    result = run(live, "invoke", "lead_agent", "--input", "-", "--watch", stdin=json.dumps(missing))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("The run failed: ")


def test_an_invalid_input_names_the_field_on_one_line(live: dict[str, str]) -> None:
    result = run(live, "invoke", "lead_agent", "--input", '{"budget": "much"}')
    assert (result.returncode, result.stdout) == (3, "")
    assert len(result.stderr.splitlines()) == 1
    assert "budget" in result.stderr


def test_an_unknown_agent_is_refused_with_the_known_ones(live: dict[str, str]) -> None:
    result = run(live, "invoke", "nobody", "--input", "{}")
    assert (result.returncode, result.stdout) == (3, "")
    assert "chat_agent" in result.stderr


def test_the_same_idempotency_key_gives_the_same_run(live: dict[str, str]) -> None:
    key = str(uuid4())
    assert submitted(live, "--idempotency-key", key) == submitted(live, "--idempotency-key", key)


def test_a_run_is_watched_again_after_its_end(live: dict[str, str]) -> None:
    run_id = submitted(live)
    first, second = (run(live, "runs", "watch", run_id) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)


def test_show_prints_the_run_with_its_steps(live: dict[str, str]) -> None:
    run_id = submitted(live)
    run(live, "runs", "watch", run_id)
    shown = json.loads(run(live, "runs", "show", run_id).stdout)
    assert (shown["request_id"], shown["status"], shown["provider"]) == (run_id, "completed", "ollama")
    assert [step["status"] for step in shown["steps"]] == ["completed"]


def test_list_shows_own_runs_newest_first_page_by_page(live: dict[str, str]) -> None:
    user = str(uuid4())
    ids = [submitted(live, "--user-id", user) for _ in range(3)]
    page = json.loads(run(live, "runs", "list", "--user-id", user, "--limit", "2").stdout)
    assert [item["request_id"] for item in page["items"]] == ids[:0:-1]
    rest = run(live, "runs", "list", "--user-id", user, "--cursor", page["next_cursor"])
    assert [item["request_id"] for item in json.loads(rest.stdout)["items"]] == ids[:1]
    none = run(live, "runs", "list", "--user-id", user, "--agent", "lead_agent")
    assert json.loads(none.stdout)["items"] == []


def test_list_has_large_fields_only_where_they_are_named(live: dict[str, str]) -> None:
    user = str(uuid4())
    submitted(live, "--user-id", user)

    [light] = json.loads(run(live, "runs", "list", "--user-id", user).stdout)["items"]
    [detailed] = json.loads(run(live, "runs", "list", "--user-id", user, "--fields", "input,result").stdout)["items"]
    refused = run(live, "runs", "list", "--user-id", user, "--fields", "nonsense")

    assert not {"input", "result"} & set(light)
    assert {"input", "result"} <= set(detailed)
    assert refused.returncode != 0
    assert "must be names out of input, result, steps.output" in refused.stderr


def test_the_run_of_another_user_is_not_found(live: dict[str, str]) -> None:
    run_id = submitted(live)
    for command in ("show", "watch"):
        result = run(live, "runs", command, run_id, "--user-id", str(uuid4()))
        assert (result.returncode, result.stdout) == (3, "")
        assert "not yours" in result.stderr


def test_a_token_that_does_not_verify_is_refused_without_being_shown(live: dict[str, str]) -> None:
    for command in (("list",), ("watch", str(uuid4()))):
        result = run({**live, "PIXELBLOOM_TOKEN": "hunter2.hunter2.hunter2"}, "runs", *command)
        assert (result.returncode, result.stdout) == (3, "")
        assert len(result.stderr.splitlines()) == 1
        assert "hunter2" not in result.stderr


def test_ctrl_c_stops_watching_and_says_how_to_watch_again(live: dict[str, str], model: OllamaServer) -> None:
    model.always(Script(pieces=["one\n"] * 3, hold_after=2))
    process = start(live, "invoke", "chat_agent", *TALK, "--watch")
    run_id = said_until(process, "| one")[0].split()[1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == f"The run goes on. Watch it again with: pixelbloom runs watch {run_id}"
    model.going_on.set()
    again = run(live, "runs", "watch", run_id)
    assert again.returncode == 0


def reload(web: psutil.Process) -> None:
    """Reload as a deploy does: gunicorn starts new processes, and the old ones end in order."""
    web.send_signal(signal.SIGHUP)


def kill(web: psutil.Process) -> None:
    """Kill the process with the sockets, and one that a reload may have left; gunicorn starts another one."""
    for process in web.children():
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.parametrize("restart", [reload, kill])
def test_a_watch_survives_a_restart_of_the_web_tier_with_every_word_once(
    live: dict[str, str], model: OllamaServer, restart: Callable[[psutil.Process], None]
) -> None:
    words = [f"word{number}\n" for number in range(60)]
    model.always(Script(pieces=words, delay=0.1, hold_after=10))
    process = start(live, "invoke", "chat_agent", *TALK, "--watch")
    said = said_until(process, "word3")
    restart(psutil.Process(int(live["WEB_PID"])))
    said += said_until(process, "connection lost")
    model.going_on.set()
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    lines = ("".join(said) + err).splitlines()
    assert [line[2:] for line in lines if line.startswith("| ")] == [word.strip() for word in words]
    assert "word59" in json.loads(out)["reply"]


def test_doctor_names_the_queues_without_a_worker(live: dict[str, str]) -> None:
    checks: dict[str, dict[str, str]] = {}

    def succeeds() -> bool:
        """On a busy machine a part, or the agents worker that is there, may reply late."""
        result = run(live, "doctor", "--json")
        assert result.returncode == 1
        checks.update({check["name"]: check for check in json.loads(result.stdout)["checks"]})
        return (
            all(checks[name]["state"] == "ok" for name in ("postgres", "postgrest", "redis", "api", "ollama"))
            and "no worker takes from events, maintenance" in checks["workers"]["detail"]
        )

    until(succeeds, saw=lambda: checks)
    assert checks["workers"]["state"] == "down"


def test_doctor_succeeds_when_every_part_is_reachable(stack: Any, live: dict[str, str]) -> None:
    others = [stack.start(role) for role in ("events", "maintenance", "webhooks", "beat")]
    try:
        said: list[str] = []

        def succeeds() -> bool:
            result = run(live, "doctor")
            said[:] = [result.stdout]
            return result.returncode == 0

        until(succeeds, saw=lambda: said)
    finally:
        for other in others:
            other.stop()


def test_the_client_reads_pages_and_agents(live: dict[str, str]) -> None:
    token = run(live, "token", "--sub", str(uuid4())).stdout.strip()
    with ApiClient(live["API_URL"], token) as api:
        ids = [
            api.invoke("chat_agent", {"message": "Hello"}, metadata={"number": number})["request_id"]
            for number in range(3)
        ]
        assert [item["request_id"] for item in api.each_run()] == ids[::-1]
        asked = list(api.each_run(fields="input"))
        assert [item["input"]["message"] for item in asked] == ["Hello"] * 3
        assert not any("result" in item for item in asked)
        assert "chat_agent" in json.dumps(api.agents())
        assert api.agent("chat_agent")["agent_type"] == "chat_agent"
        waited = api.invoke("chat_agent", {"message": "Hello"}, wait=30)
        assert waited["status"] == "completed"
