"""Model calls that wait: 200 of 2 s at once in one agents process: `python -m bench.waiting [THREADS]`.

The rate is that of the steps between the first and the last end. The ideal is threads / seconds of a call. The model is
a stand-in for Ollama that replies after 2 s, in a process of its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil

from bench.runs.load import Client
from bench.runs.report import ONE
from bench.runs.sides import PixelBloom
from pixelbloom.local.postgrest import free_port
from tests.stack import Stack

THREADS = 200
CALL_SECONDS = 2.0
#: Rounds of all threads.
ROUNDS = 8
SECONDS = 300.0
READY_SECONDS = 15.0


def main() -> None:
    """Run ROUNDS calls a thread and print the rate, the CPU and the memory."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else THREADS
    with tempfile.TemporaryDirectory(prefix="pb-bench-") as folder:
        port = free_port()
        model = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.ollama", "--port", str(port), "--first-delay", str(CALL_SECONDS)],
            stdout=subprocess.DEVNULL,
        )
        stack = Stack(Path(folder), durable=True)
        try:
            stack.start_servers()
            own = {"AGENT_CONCURRENCY": str(threads), "OLLAMA_HOST": f"http://127.0.0.1:{port}"}
            own |= {"OLLAMA_MODEL": "llama3.1:8b", "USER_CONCURRENCY": str(2 * threads), "MODEL_TIMEOUT": "60"}
            with stack.values_with(**own):
                side = PixelBloom(stack)
            measure(side, threads)
        finally:
            stack.close()
            model.terminate()
            model.wait()


def measure(side: PixelBloom, threads: int) -> None:
    """Submit the runs and wait for their ends."""
    agents = psutil.Process(side.agents)
    time.sleep(READY_SECONDS)
    rest = agents.memory_full_info().uss
    side.begin(ONE)
    runs = threads * ROUNDS
    before, began = side.cpu(), time.monotonic()
    with closing(Client(side.port, side.request(ONE), requests=runs, at_once=20)) as client:
        client.send(SECONDS)
    most = agents.memory_full_info().uss
    side.completed(runs, SECONDS)
    took, used = time.monotonic() - began, side.cpu()
    rate, ideal = side.rate(), threads / CALL_SECONDS
    found = {
        "replies of the model": side.provided_by("ollama"),
        "runs": runs,
        "steps a second": round(rate, 1),
        "ideal": ideal,
        "share of the ideal": round(rate / ideal, 2),
        "seconds in all": round(took, 1),
        "CPU a run, ms": {kind: round((used[kind] - before[kind]) * 1000 / runs, 2) for kind in used},
        "memory a waiting step, KB": round((most - rest) / threads / 1024),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
