"""What people paste into the command line, and what servers answer it, breaks nothing and shows no secret."""

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from pixelbloom.cli import main, runs, unexpected, workflows
from pixelbloom.client import ApiClient
from pixelbloom.client.errors import SocketRejected
from pixelbloom.client.socket import SocketClient
from pixelbloom.client.token import read
from pixelbloom.errors import ConfigurationError, InvalidInput
from tests.unit.cli.conftest import SECRET, Cli, one_line

HIDDEN = "hunter2hunter2"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pixelbloom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in an empty folder without settings. Returns its exit code, its output and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
        for name in os.environ:
            monkeypatch.delenv(name)
        for name, value in {"API_URL": "http://127.0.0.1:9", **variables}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


class Recorder:
    """An HTTP server that answers everything with one page of nothing and remembers what it was asked."""

    def __init__(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = json.dumps({"items": [], "next_cursor": None}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self) -> None:
                asked.append(self.path)
                self.send_error(502)

            def log_message(self, *_: object) -> None: ...

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Recorder":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A proxy that the environment names for everything, this machine included."""
    with Recorder() as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for variable in (name, name.lower()):
                monkeypatch.setenv(variable, server.url)
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(variable, "example.com")
        yield server


def test_requests_to_this_machine_bypass_the_proxy_of_the_environment(proxy: Recorder) -> None:
    with Recorder() as api, ApiClient(api.url, "token") as client:
        client.runs()
        client.runs()
    assert proxy.asked == []
    assert len(api.asked) == 2


def test_requests_to_other_machines_use_the_proxy(proxy: Recorder) -> None:
    with ApiClient("http://api.example.org", "token") as client:
        client.runs()
    assert proxy.asked == ["http://api.example.org/api/agents/runs"]


def test_sockets_to_this_machine_bypass_the_proxy_too(proxy: Recorder) -> None:
    with Recorder() as api:
        client = SocketClient(api.url, "workflows", "token", give_up_after=0)
        with pytest.raises(SocketRejected, match="returned 200"):
            next(client.events())
        assert api.asked == ["/api/ws/workflows"]
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('{"query": "a", "query": "b"}', "--input has the key 'query' twice"),
        ('{"a": {"b": [{"c": 1, "c": 1}]}}', "--input has the key 'c' twice"),
        ("@twice.json", "--input @twice.json has the key 'a' twice"),
        ("@latin.json", "--input @latin.json: is not UTF-8 text (line 2)"),
    ],
)
def test_an_input_that_the_api_would_refuse_is_refused_here(cli: Cli, source: str, words: str) -> None:
    Path("twice.json").write_text('{"a": 1, "a": 2}')
    Path("latin.json").write_bytes(b'{\n"name": "Andr\xe9"}')
    result = cli("invoke", "lead_agent", "--input", source, SUPABASE_JWT_SECRET=SECRET)
    assert words in one_line(result)
    assert result.exit_code == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("source", ["@lead.json", "-"])
def test_a_byte_order_mark_is_not_part_of_an_input(cli: Cli, encoding: str, source: str) -> None:
    text = '{"query": "Größe"}'
    Path("lead.json").write_bytes(text.encode(encoding))
    result = cli(
        "invoke", "lead_agent", "--input", source,
        stdin=text.encode(encoding), SUPABASE_JWT_SECRET=SECRET, API_URL="http://127.0.0.1:9",
    )  # fmt: skip
    assert "http://127.0.0.1:9 is unreachable" in one_line(result)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'\xef\xbb\xbf{"steps": 1}', "is invalid"),
        (b'{"steps": [], "steps": []}', "has the key 'steps' twice in an object"),
        (b'{"name": "Andr\xe9"}', "is not UTF-8 text (line 1)"),
        (b"[1]", "is not a JSON object"),
    ],
)
def test_a_definition_is_parsed_by_the_same_rules(
    content: bytes, words: str, tmp_path: Path, pixelbloom: Command
) -> None:
    file = tmp_path / "definition.json"
    file.write_bytes(content)
    code, _, errors = pixelbloom("workflows", "validate", str(file))
    assert words in errors
    assert str(file) in errors
    assert "Traceback" not in errors
    assert code == 2


@pytest.mark.parametrize("token", [f"{HIDDEN}\nX: 1", f"{HIDDEN} x", f"{HIDDEN}é", f"Bearer {HIDDEN}"])
@pytest.mark.parametrize("how", ["variable", "option"])
@pytest.mark.parametrize("debug", ["", "true"])
def test_a_token_invalid_in_a_header_ends_in_one_line_without_it(
    token: str, how: str, debug: str, pixelbloom: Command
) -> None:
    given = ("--token", token) if how == "option" else ()
    variables = {"PIXELBLOOM_TOKEN": token} if how == "variable" else {}
    code, output, errors = pixelbloom("runs", "list", *given, PIXELBLOOM_DEBUG=debug, **variables)
    assert output == ""
    assert len(errors.splitlines()) == 1, errors
    assert "token" in errors.lower()
    assert HIDDEN not in errors
    assert code == 2


def test_whitespace_around_a_token_is_stripped() -> None:
    assert read(" abc.def\n") == "abc.def"
    assert read(lambda: "abc\r\n") == "abc"
    with pytest.raises(ConfigurationError):
        read("abc\ndef")


@pytest.mark.parametrize("stack", [False, True])
def test_an_unexpected_error_shows_neither_its_message_nor_a_value(stack: bool) -> None:
    def fail(secret: str) -> None:
        try:
            int(secret)
        except ValueError as error:
            raise KeyError(secret) from error

    with pytest.raises(KeyError) as caught:
        fail(HIDDEN)
    said = unexpected(caught.value, stack=stack)
    assert HIDDEN not in said
    assert "KeyError" in said
    assert ("ValueError" in said, "test_hostile.py" in said) == (stack, stack)
    assert stack or len(said.splitlines()) == 1


def rendered(table: object) -> str:
    console = Console(width=150, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


@pytest.mark.parametrize("text", ["[/nope]", "[bold]x[/bold]", "[link=file:///etc]y[/]", "\\[/", "[red"])
def test_text_of_the_server_is_not_interpreted_as_markup(text: str) -> None:
    flow = {"workflow_id": text, "version": text, "steps": [], "description": text}
    assert rendered(workflows.table([flow])).count(text) == 3
    run = {
        "request_id": text, "created_at": "2026-01-31T12:00:00Z", "status": "running", "progress": 0.5,
        "agent_type": text, "model": text, "provider": None,
    }  # fmt: skip
    assert rendered(runs.table([run], 150)).count(text) == 3


@pytest.mark.parametrize(
    ("message", "said"), [("It failed: no host..", "It failed: no host."), ("Wait ...", "Wait ..."), ("One.", "One.")]
)
def test_no_message_ends_with_two_full_stops(message: str, said: str) -> None:
    assert InvalidInput(message).message == str(InvalidInput(message)) == said
