"""The benchmark of runs: medians, aims, the table, the options and the client's reading of responses."""

import json
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from bench.runs import cpu, measure, report
from bench.runs.__main__ import options
from bench.runs.load import Client, Request, split
from bench.runs.report import ONE, TWO, Aim, Figure, Rest, Round, figures, markdown, middle, percentile

REST = Rest(seconds=20, cpu={"web": 4.0, "beat": 10.0}, calls_a_minute=2, commands_a_second=40, commands={"ping": 800})


def a_round(rate: float, **cpu_of: float) -> Round:
    return Round(submitted=rate, completed=rate / 2, p50=1000 / rate, p99=3000 / rate, cpu=cpu_of, client=0.1)


def test_each_figure_is_the_median_of_its_own():
    rounds = [a_round(100, web=1, redis=9), a_round(400, web=3, redis=2), a_round(200, web=2)]

    found = middle(rounds)

    assert (found.submitted, found.completed, found.p50, found.p99) == (200, 100, 5, 15)
    assert found.cpu == {"web": 2, "redis": 2}


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share, value):
    assert percentile(reversed(range(1, 101)), share) == value


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("aim", "value", "verdict"),
    [
        (Aim(12), 12, "met"),
        (Aim(12), 18, "missed by 50%"),
        (Aim(0.8, at_least=True), 0.8, "met"),
        (Aim(0.8, at_least=True), 0.2, "missed by 75%"),
    ],
)
def test_a_verdict_names_the_share_of_the_aim_that_is_missing(aim, value, verdict):
    assert aim.verdict(value) == verdict


def test_a_figure_without_its_peer_has_no_verdict_on_their_ratio():
    assert Figure("p99", 3.0, None, "ms", Aim(2, of_ratio=True)).verdict == ""


def test_the_table_has_both_systems_the_ratio_the_aim_and_the_verdict():
    own = {ONE: [a_round(100, web=4, postgres=14)] * 3, TWO: []}
    bare = {ONE: [a_round(80, web=2), a_round(50, web=2), a_round(40, web=2)], TWO: []}

    rows = markdown(figures(own, bare, [], REST)).splitlines()

    assert rows[0] == "| figure | PixelBloom | bare | ratio | aim | |"
    assert {row.count("|") for row in rows} == {7}
    assert "| one step: submitted a second | 100 | 50 | 2.00 | at least 1 times | met |" in rows
    assert "| one step: CPU a run | 18.0 ms | 2.0 ms | 9.00 | at most 12 ms | missed by 50% |" in rows
    assert "| one step: CPU a run, web | 4.00 ms | 2.00 ms | 2.00 |  |  |" in rows
    assert "| one step: CPU a run, postgres | 14.00 ms |  |  |  |  |" in rows
    assert "| at rest: CPU a second | 14.0 ms |  |  | at most 15 ms | met |" in rows
    assert "| at rest: database calls a minute | 2 |  |  | at most 3 | met |" in rows
    assert not [row for row in rows if "two steps" in row]


def test_completed_workflows_are_compared_with_langgraph_where_it_was_measured():
    rounds = {ONE: [], TWO: [a_round(120)]}

    (line,) = [one for one in figures(rounds, rounds, [a_round(200)], None) if "LangGraph" in one.name]

    assert (line.own, line.peer, line.verdict) == (60, 100, "missed by 50%")


def test_the_json_has_every_round_and_every_verdict():
    rounds = {ONE: [a_round(100, web=4)], TWO: []}

    document = json.loads(json.dumps(report.as_json(figures(rounds, rounds, [], REST), rounds, rounds, [], REST)))

    assert document["rounds"]["pixelbloom"][ONE][0]["cpu"] == {"web": 4}
    assert document["rest"]["commands"] == {"ping": 800}
    verdicts = {line["name"]: line["verdict"] for line in document["figures"]}
    assert verdicts["one step: submitted a second"] == "met"
    assert verdicts["one step: completed a second"] == "met"


def test_two_windows_at_rest_agree_by_their_calls_and_cpu():
    assert measure.agree((2, 0.20), (1, 0.22))
    assert measure.agree((0, 0.0), (0, 0.0))
    assert not measure.agree((40, 0.20), (2, 0.20))
    assert not measure.agree((2, 0.90), (2, 0.20))


def test_the_quick_form_is_shorter_and_each_option_overrides_it():
    usual, quick, chosen = options([]), options(["--quick"]), options(["--quick", "--rounds", "7", "--json", "x.json"])

    assert all(getattr(quick, name) < getattr(usual, name) for name in ("rounds", "runs", "rest", "settle", "seconds"))
    assert usual.seconds * 1.25 <= 15 * 60
    assert quick.seconds <= 120
    assert (chosen.rounds, chosen.runs, chosen.json.name) == (7, quick.runs, "x.json")
    assert not quick.langgraph


@pytest.mark.parametrize("given", [["--rounds", "0"], ["--runs", "-1"], ["--seconds", "x"], ["--fast"]])
def test_invalid_options_are_refused(given):
    with pytest.raises(SystemExit) as refused:
        options(given)
    assert refused.value.code == 2


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 202 ACCEPTED\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 202 ACCEPTED\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_a_response_is_complete_with_its_last_byte(data):
    assert split(data) == (202, True)
    assert not any(split(data[:length])[1] for length in range(len(data)))


def test_a_response_without_a_length_is_refused():
    with pytest.raises(ValueError, match="Content-Length"):
        split(b"HTTP/1.1 200 OK\r\n\r\n")


class Counting(BaseHTTPRequestHandler):
    """Counts posts by their body; `/limited` refuses all."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(429 if self.path == "/limited" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def counting():
    handler = type("Handler", (Counting,), {"bodies": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, handler
        server.shutdown()
        thread.join()


def test_the_client_posts_each_request_once_and_times_it(counting):
    port, handler = counting
    with closing(Client(port, Request("/", b'{"a":1}'), requests=50, at_once=4)) as client:
        sent = client.send(30)

    assert handler.bodies == [b'{"a":1}'] * 50
    assert len(sent.took) == 50
    assert sent.began <= sent.ended
    assert sum(sent.took) <= 4 * (sent.ended - sent.began) + 0.1


def test_refused_requests_end_the_load_with_their_status(counting):
    port, _ = counting
    with (
        closing(Client(port, Request("/limited", b"{}"), requests=3, at_once=2)) as client,
        pytest.raises(RuntimeError, match="3 responses of status 429"),
    ):
        client.send(30)


def test_the_cpu_of_a_tree_includes_children_that_ended():
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    lines = ("import subprocess, sys, time", f"subprocess.run([sys.executable, '-c', {burn!r}])")
    code = "\n".join((*lines, "print(1, flush=True)", "time.sleep(60)"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = cpu.by_kind({"parent": [process.pid], "ended": [2**22 + 1]})
        assert not psutil.Process(process.pid).children()
        process.kill()

    assert used["parent"] >= 0.45
    assert used["ended"] == 0
