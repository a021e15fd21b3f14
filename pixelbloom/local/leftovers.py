"""Ends processes that a killed supervisor left running."""

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from pixelbloom.local.identity import Identity

POLITE_SECONDS = 5.0


def end_recorded(records: Path) -> list[str]:
    """End every recorded process that still runs. Returns their names."""
    ended = []
    for record in sorted(records.glob("*.json")):
        try:
            fields = json.loads(record.read_text())
            identity = Identity(int(fields["pid"]), str(fields["started"]))
        except (ValueError, KeyError, TypeError):
            record.unlink(missing_ok=True)
            continue
        if identity.alive():
            end(identity)
            ended.append(record.stem)
        record.unlink(missing_ok=True)
    return ended


def end(identity: Identity, polite: signal.Signals = signal.SIGTERM) -> None:
    """End a process of this stack and its group: SIGTERM first, then SIGKILL."""
    with suppress(ProcessLookupError):
        os.kill(identity.pid, polite)
    _wait(identity, POLITE_SECONDS)
    if identity.alive() and not end_group(identity.pid):
        with suppress(ProcessLookupError):
            os.kill(identity.pid, signal.SIGKILL)
    _wait(identity, POLITE_SECONDS)


def end_group(leader: int) -> bool:
    """Kill the process group of this number, if it exists."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_all_in(folder: Path, program: str) -> int:
    """End every `program` whose working directory is `folder`: a server and its children. Returns their number."""
    found = list(_working_in(folder, program))
    for identity in found:
        with suppress(ProcessLookupError):
            os.kill(identity.pid, signal.SIGINT if identity == found[0] else 0)
    deadline = time.monotonic() + POLITE_SECONDS
    while any(identity.alive() for identity in found) and time.monotonic() < deadline:
        time.sleep(0.05)
    for identity in found:
        if identity.alive():
            with suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGKILL)
            _wait(identity, POLITE_SECONDS)
    return len(found)


def _working_in(folder: Path, program: str) -> Iterable[Identity]:
    """Return them by pid, a server before its children. A wrap of the pids only delays the end."""
    for process in psutil.process_iter():
        try:
            if process.name() == program and Path(process.cwd()) == folder:
                identity = Identity.of(process.pid)
                if identity is not None:
                    yield identity
        except (psutil.Error, OSError):
            continue  # gone, or of another user


def _wait(identity: Identity, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while identity.alive() and time.monotonic() < deadline:
        time.sleep(0.05)
