"""Runs all benchmarks of the realtime tier and prints their tables: `python -m bench [rounds]`."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bench import realtime
from bench.clients import Clients
from bench.servers import PixelBloom, Server, SocketIO, node
from tests.stack import Stack

T = TypeVar("T")


def say(text: str = "") -> None:
    print(text, flush=True)


def machine() -> str:
    """Describe the machine of the figures."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    version = subprocess.run([node(), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}, Node {version}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def row(name: str, own: Sequence[float], peers: Sequence[float], unit: str, *, digits: int = 0) -> None:
    """Print the medians of both servers' rounds, and their ratio."""
    a, b = median(own), median(peers)
    say(f"| {name} | {a:,.{digits}f} {unit} | {b:,.{digits}f} {unit} | {a / b:.2f} |")


def rounds(servers: Sequence[Server], times: int, measure: Callable[[Server], T]) -> list[list[T]]:
    """Return each server's results, measured in turns."""
    found: list[list[T]] = [[] for _ in servers]
    for _ in range(times):
        for place, server in enumerate(servers):
            found[place].append(measure(server))
    return found


def fan_outs(servers: Sequence[Server], times: int) -> None:
    for name, events, at_once in (("one event at a time", 30, 1), (f"{realtime.BURST} at once", 160, realtime.BURST)):

        def measure(server: Server, events: int = events, at_once: int = at_once) -> realtime.Sent:
            topic = server.topic()
            with Clients(server.port, [server.follower(topic)] * realtime.FANOUT) as clients:
                clients.ready()
                time.sleep(1)
                return realtime.fan_out(server, clients, topic, events=events, at_once=at_once)

        own, peers = rounds(servers, times, measure)
        row(
            f"fan-out to {realtime.FANOUT:,}, {name}: frames a second",
            [s.rate for s in own],
            [s.rate for s in peers],
            "",
        )
        row(
            f"fan-out to {realtime.FANOUT:,}, {name}: CPU a frame",
            [s.cpu for s in own],
            [s.cpu for s in peers],
            "µs",
            digits=1,
        )


def latencies(servers: Sequence[Server], times: int) -> None:
    for name, followers, a_second in (
        ("each to one socket", 1, 100),
        ("each to 200 sockets", 200, 100),
        ("each to all", realtime.LATENCY, 100),
    ):

        def measure(server: Server, followers: int = followers, a_second: int = a_second) -> realtime.Latency:
            topics = [server.topic() for _ in range(realtime.LATENCY // followers)]
            plans = [server.follower(topics[n % len(topics)]) for n in range(realtime.LATENCY)]
            with Clients(server.port, plans) as clients:
                clients.ready()
                time.sleep(1)
                return realtime.latency(server, clients, topics, a_second=a_second, seconds=5)

        own, peers = rounds(servers, times, measure)
        for what, digits in (("p50", 2), ("p99", 2)):
            row(
                f"{realtime.LATENCY:,} sockets, {a_second} events a second, {name}: {what}",
                [getattr(one, what) for one in own],
                [getattr(one, what) for one in peers],
                "ms",
                digits=digits,
            )


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    say(machine())
    with tempfile.TemporaryDirectory(prefix="pb-bench-") as folder:
        stack = Stack(Path(folder))
        peers: list[SocketIO] = []
        try:
            stack.start_servers()
            pixelbloom, peer = PixelBloom(stack), SocketIO(stack)
            peers.append(peer)
            say("| figure | PixelBloom | Socket.IO | ratio |\n| --- | ---: | ---: | ---: |")
            fan_outs((pixelbloom, peer), times)
            latencies((pixelbloom, peer), times)
            rested = SocketIO(stack)
            peers.append(rested)
            own, other = realtime.idle(stack, PixelBloom(stack)), realtime.idle(stack, rested)
            row(f"{realtime.IDLE:,} idle sockets: memory a socket", [own.memory], [other.memory], "KB", digits=1)
            say(
                f"GET /api/agents with no socket open: p50 {own.before[0]:.2f} ms, p99 {own.before[1]:.2f} ms; "
                f"with {realtime.IDLE:,}: p50 {own.after[0]:.2f} ms, p99 {own.after[1]:.2f} ms"
            )
        finally:
            for peer in peers:
                peer.close()
            stack.close()


if __name__ == "__main__":
    main()
