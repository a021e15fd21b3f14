"""Attacks on a stack of its own: slow clients, clients that hang up, floods, hostile JSON, hostile replies of a model.

`python -m bench.attack` is `make attack`. It ends with an error where /healthz was not served during an attack,
or where something is not at rest afterwards: connections, waits, file descriptors, threads.
"""

import contextlib
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from pixelbloom.startup import allow_open_files
from tests.integration.http import CHAT, Api
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.stack import Stack

SLOW_CLIENTS = 2_000
SECONDS = 20.0
REST_SECONDS = 45.0
FLOODERS = 16
HOSTILE = b'{"agent_type": "chat_agent", "input": {"message": [' + b"[[]]," * 200_000 + b"1]}}"
REPLIES = ["# a" + " " * 20_000 + "b", "{" * 20_000, "<think>" * 5_000, "```json\n" * 5_000]


class Attacks:
    """The attacks. Each returns a summary."""

    def __init__(self, stack: Stack, url: str, process: psutil.Process, ollama: OllamaServer) -> None:
        self._api = Api(url, None, stack.settings)
        self._process = process
        self._ollama = ollama
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 0)
        self.health: list[float] = []

    def slow_clients(self) -> str:
        """Connections without a byte, with half a head, with half a body, or with a wait that is abandoned."""
        body = b'{"agent_type": "chat_agent", "input": {"message": "How long?"}}'
        token = self._api.as_user().token
        half = b"POST /api/pricing/quote HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        wait = (
            f"POST /api/agents/invoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nPrefer: wait=60\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        kinds = (b"", half, half + b"Content-Length: 200\r\n\r\n{", wait + body)
        opened = []
        for number in range(SLOW_CLIENTS):
            connection = socket.create_connection(self._address, timeout=30)
            with contextlib.suppress(OSError):
                connection.sendall(kinds[number % len(kinds)])
            opened.append(connection)
            if number % 100 == 0:
                self._look()
        self._look()
        most = self.number("pixelbloom_http_connections")
        for connection in opened:
            connection.close()
        return f"{SLOW_CLIENTS} clients, {most} connections at once"

    def hostile_json(self) -> str:
        """A mebibyte of lists, by users who are signed in and by nobody."""
        callers = [self._api.as_user(), self._api]
        return self._flood(lambda number: callers[number % 2].invoke(HOSTILE))

    def submissions(self) -> str:
        """One user's submissions and searches, as fast as they go."""
        user = self._api.as_user()
        return self._flood(
            lambda number: user.invoke() if number % 2 else user.get("/api/leads", params={"q": "bakery"})
        )

    def replies(self) -> str:
        """Replies of a model that are made to be expensive to read."""
        user = self._api.as_user()
        ended: Counter[str] = Counter()
        for reply in REPLIES:
            self._ollama.always(Script(text=reply))
            for agent, given in (("chat_agent", CHAT["input"]), ("content_agent", {"topic": "A bakery"})):
                response = user.invoke({"agent_type": agent, "input": given}, Prefer="wait=30")
                ended[response.json().get("status", str(response.status_code))] += 1
            self._look()
        return ", ".join(f"{number} {status}" for status, number in sorted(ended.items()))

    def number(self, name: str) -> int:
        """A gauge of the web process."""
        text = self._api.as_service().get("/metrics").text
        (line,) = [line for line in text.splitlines() if line.startswith(name)]
        return int(float(line.rpartition(" ")[2]))

    def resources(self) -> dict[str, int]:
        """Return the open resources of the web process."""
        return {
            "connections": self.number("pixelbloom_http_connections"),
            "waits": self.number("pixelbloom_http_waits"),
            "files": self._process.num_fds(),
            "threads": self._process.num_threads(),
            "MiB": self._process.memory_info().rss // 2**20,
        }

    def _flood(self, send: Callable[[int], httpx.Response]) -> str:
        end = time.monotonic() + SECONDS
        codes: Counter[int] = Counter()

        def flood(first: int) -> None:
            number = first
            while time.monotonic() < end:
                with contextlib.suppress(httpx.HTTPError):
                    codes[send(number).status_code] += 1
                number += 1

        with ThreadPoolExecutor(FLOODERS) as pool:
            floods = [pool.submit(flood, number) for number in range(FLOODERS)]
            while not all(each.done() for each in floods):
                self._look()
                time.sleep(0.5)
            for each in floods:
                each.result()
        return ", ".join(f"{number} x {code}" for code, number in sorted(codes.items()))

    def _look(self) -> None:
        began = time.monotonic()
        assert self._api.get("/healthz").status_code == 200
        self.health.append(time.monotonic() - began)


def main() -> int:
    """Print the results. Returns 1 if something is not idle in the end."""
    allow_open_files(8_192)
    with tempfile.TemporaryDirectory(prefix="pb-attack-") as folder, OllamaServer() as ollama:
        stack = Stack(Path(folder))
        try:
            stack.start_servers()
            with stack.values_with(OLLAMA_HOST=ollama.url):
                web = stack.start("web")
                stack.start("agents")
                attacks = Attacks(stack, web.url, psutil.Process(web.pid).children()[0], ollama)
                attacks.resources()
                before = attacks.resources()
                for attack in (attacks.slow_clients, attacks.hostile_json, attacks.submissions, attacks.replies):
                    attacks.health.clear()
                    seen = attack()
                    times = sorted(attacks.health)
                    middle, most = times[len(times) // 2] * 1000, times[-1] * 1000
                    print(f"{attack.__name__}: {seen}; /healthz {middle:.0f} ms, at most {most:.0f} ms", flush=True)
                return _rest(attacks, before)
        finally:
            stack.close()


def _rest(attacks: Attacks, before: dict[str, int]) -> int:
    allowed = {"connections": 0, "waits": 0, "files": 80, "threads": 8, "MiB": 128}
    end = time.monotonic() + REST_SECONDS
    while True:
        after = attacks.resources()
        over = {name: after[name] for name, more in allowed.items() if after[name] > before[name] + more}
        if not over or time.monotonic() > end:
            break
        time.sleep(1)
    for name, value in after.items():
        print(f"{name}: {before[name]} before, {value} after")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
