"""What a socket costs, and how fast events reach many of them."""

import http.client
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.clients import Clients
from bench.servers import PixelBloom, Server, SocketIO
from pixelbloom.auth.mint import mint_service
from tests.stack import Stack

IDLE = 10_000
FANOUT = 4_000
LATENCY = 1_000
#: Events at once.
BURST = 16


@dataclass(frozen=True)
class Sent:
    """One fan-out: frames a second, and the server's CPU for each in microseconds."""

    rate: float
    cpu: float


@dataclass(frozen=True)
class Latency:
    """From publishing to receiving, in milliseconds, and the frames a second that were received."""

    p50: float
    p99: float
    rate: float


@dataclass(frozen=True)
class Idle:
    """A socket's memory in KB, and the API's p50 and p99 in milliseconds without and with all of them."""

    memory: float
    before: tuple[float, float]
    after: tuple[float, float]


def cpu(server: Server) -> float:
    times = server.process.cpu_times()
    return float(times.user + times.system)


def fan_out(server: Server, clients: Clients, topic: str, *, events: int, at_once: int) -> Sent:
    """Publish so many events to all sockets, each after all received the previous one."""
    frames, seconds, used = 0, 0.0, cpu(server)
    for _ in range(events // at_once):
        clients.expect(FANOUT * at_once, timed=False)
        began = time.monotonic_ns()
        server.publish(topic, at_once)
        ended, _ = clients.arrived()
        frames += FANOUT * at_once
        seconds += (ended - began) / 1e9
    return Sent(frames / seconds, (cpu(server) - used) / frames * 1e6)


def latency(server: Server, clients: Clients, topics: Sequence[str], *, a_second: int, seconds: float) -> Latency:
    """Publish at a steady pace, to the topics in turn, each with as many followers as the others."""
    events = int(a_second * seconds)
    each = LATENCY // len(topics)
    clients.expect(events * each)
    began = time.monotonic()
    for n in range(events):
        server.publish(topics[n % len(topics)], 1)
        time.sleep(max(began + (n + 1) / a_second - time.monotonic(), 0))
    ended, took = clients.arrived()
    cuts = statistics.quantiles(took, n=100)
    return Latency(cuts[49] / 1e6, cuts[98] / 1e6, len(took) / (ended / 1e9 - began))


def api(stack: Stack, port: int, requests: int = 1_000) -> tuple[float, float]:
    """p50 and p99 of `GET /api/agents` on a persistent connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {mint_service(stack.settings, expires_in=7200)}"}
    took = []
    for _ in range(requests):
        began = time.perf_counter()
        connection.request("GET", "/api/agents", headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status
        took.append((time.perf_counter() - began) * 1e3)
    connection.close()
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]


def idle(stack: Stack, server: PixelBloom | SocketIO) -> Idle:
    """Open all sockets, wait, and measure the process."""
    own = isinstance(server, PixelBloom)
    before = api(stack, server.port) if own else (0.0, 0.0)
    base = server.process.memory_full_info().uss
    half = IDLE // 2
    with Clients(server.port, [server.idle() for _ in range(half)]) as one:
        one.ready()
        with Clients(server.port, [server.idle() for _ in range(IDLE - half)]) as two:
            two.ready()
            time.sleep(3)
            memory = (server.process.memory_full_info().uss - base) / IDLE / 1024
            after = api(stack, server.port) if own else (0.0, 0.0)
    return Idle(memory, before, after)
