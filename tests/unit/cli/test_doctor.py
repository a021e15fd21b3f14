import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.unit.cli.conftest import Cli

NOWHERE = "http://127.0.0.1:9"
HIDDEN = "hunter2"


def states(output: str) -> dict[str, str]:
    return {check["name"]: check["state"] for check in json.loads(output)["checks"]}


def test_with_nothing_configured_each_part_names_the_setting(cli: Cli) -> None:
    result = cli("doctor", PORT="9", OLLAMA_HOST=NOWHERE)
    assert result.exit_code == 1
    lines = {line.split()[1].rstrip(":"): line for line in result.stdout.splitlines()}
    assert "set SUPABASE_URL" in lines["postgrest"]
    assert "set REDIS_URL" in lines["redis"]
    assert lines["workers"].startswith("DOWN")
    assert "ollama serve" in lines["ollama"]
    assert lines["postgres"].startswith("off")


def test_json_output_has_the_same_content(cli: Cli) -> None:
    result = cli("doctor", "--json", PORT="9", OLLAMA_HOST=NOWHERE)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    assert states(result.stdout) == {
        "postgres": "off",
        "postgrest": "down",
        "supabase": "off",
        "redis": "down",
        "workers": "down",
        "beat": "down",
        "api": "warning",
        "ollama": "warning",
        "huggingface": "off",
        "stripe": "off",
    }


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_no_secret_is_ever_printed(cli: Cli, how: tuple[str, ...]) -> None:
    result = cli(
        "doctor",
        *how,
        DATABASE_URL=f"postgresql://user:{HIDDEN}@127.0.0.1:9/x",
        SUPABASE_URL=NOWHERE.replace("//", f"//user:{HIDDEN}@"),
        SUPABASE_SERVICE_ROLE_KEY=HIDDEN,
        REDIS_URL=f"redis://:{HIDDEN}@127.0.0.1:9/0",
        OLLAMA_HOST=NOWHERE.replace("//", f"//user:{HIDDEN}@"),
        HUGGINGFACE_API_KEY=HIDDEN,
        HUGGINGFACE_BASE_URL=NOWHERE,
        STRIPE_API_KEY=f"sk_test_{HIDDEN}",
        STRIPE_API_BASE=NOWHERE,
        PORT="9",
    )
    assert result.exit_code == 1
    assert HIDDEN not in result.stdout + result.stderr


@pytest.mark.long
def test_a_part_that_hangs_does_not_hang_it(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        result = cli(
            "doctor",
            "--json",
            DATABASE_URL=f"postgresql://u@{address}/x",
            SUPABASE_URL=f"http://{address}",
            SUPABASE_SERVICE_ROLE_KEY="k",
            REDIS_URL=f"redis://{address}",
            OLLAMA_HOST=f"http://{address}",
            API_URL=f"http://{address}",
        )
    assert states(result.stdout)["postgres"] == "down"
    assert states(result.stdout)["redis"] == "down"


@pytest.mark.parametrize(
    ("status", "secret", "state", "words"),
    [
        (200, "whsec_x", "ok", "test mode"),
        (200, "", "warning", "STRIPE_WEBHOOK_SECRET"),
        (403, "whsec_x", "ok", "test mode"),
        (401, "whsec_x", "warning", "refuses the key"),
        (500, "whsec_x", "warning", "returned 500"),
    ],
)
def test_stripe_is_asked_whether_it_takes_the_key(cli: Cli, status: int, secret: str, state: str, words: str) -> None:
    class Stripe(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/v1/balance"
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stripe) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        result = cli(
            "doctor",
            "--json",
            STRIPE_API_KEY="sk_test_x",
            STRIPE_WEBHOOK_SECRET=secret,
            STRIPE_API_BASE=f"http://127.0.0.1:{server.server_port}",
            OLLAMA_HOST=NOWHERE,
            PORT="9",
        )
        server.shutdown()
    found = next(check for check in json.loads(result.stdout)["checks"] if check["name"] == "stripe")
    assert found["state"] == state
    assert words in found["detail"]


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [(200, "ok", "reachable at"), (401, "warning", "refuses the key"), (502, "warning", "returned 502")],
)
def test_the_gateway_of_browsers_is_checked_separately(cli: Cli, status: int, state: str, words: str) -> None:
    asked: list[tuple[str, str | None]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["apikey"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    def supabase(url: str) -> dict[str, str]:
        result = cli(
            "doctor",
            "--json",
            SUPABASE_URL=url,
            SUPABASE_REST_URL=NOWHERE,
            SUPABASE_ANON_KEY="anon",
            OLLAMA_HOST=NOWHERE,
            PORT="9",
        )
        checks: list[dict[str, str]] = json.loads(result.stdout)["checks"]
        return next(check for check in checks if check["name"] == "supabase")

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found = supabase(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()

    assert (found["state"], words in found["detail"]) == (state, True), found
    assert asked == [("/auth/v1/health", "anon")]
    away = supabase(NOWHERE)
    assert (away["state"], "browsers cannot sign in" in away["detail"]) == ("warning", True), away
