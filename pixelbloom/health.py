"""Health probes of processes on one machine, for `pixelbloom health ROLE`.

Each process has a file in a folder of its user under TMPDIR. A server's file has its address, which the probe asks; the
other processes update their file while their main loop runs. This module imports little: a probe is a process every
few seconds.
"""

import json
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

ROLES = ("web", "agents", "events", "maintenance", "webhooks", "beat", "flower")
#: A main loop updates its file this often, and counts as stuck after STUCK_SECONDS.
BEAT_SECONDS = 10.0
STUCK_SECONDS = 45.0
#: Beat waits longer in its loop.
STUCK_BEAT_SECONDS = 120.0
REPLY_SECONDS = 5.0

#: Files that this process wrote. In a container that restarts, an earlier process may have had the same number.
_written: set[Path] = set()


def alive(role: str) -> None:
    """Record that this process's main loop runs. Never raises: a full disk must not end a worker."""
    _record(role, {})


def serving(role: str, address: Any, path: str) -> None:
    """Record where this process listens: a (host, port) pair or the path of a unix socket. Never raises."""
    if isinstance(address, tuple):
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(address[0], address[0])  # noqa: S104
        address = [host, address[1]]
    _record(role, {"address": address, "path": path})


def forget(role: str) -> None:
    """Remove this process's record. Never raises."""
    try:
        _file(role, os.getpid()).unlink(missing_ok=True)
    except OSError:
        return


def check(role: str) -> tuple[bool, str]:
    """Return whether every process of the role on this machine is well, and at least one exists; and a sentence."""
    found = []
    for file in sorted(_folder().glob(f"{role}-*.json")):
        try:
            record = json.loads(file.read_text())
            changed = file.stat().st_mtime
        except (OSError, ValueError):  # it was removed, or is being replaced
            continue
        if _started(record["pid"]) != record["started"]:
            file.unlink(missing_ok=True)
            continue
        problem = _problem(role, record, time.time() - changed)
        if problem is not None:
            return False, f"{role}: process {record['pid']} {problem}"
        found.append(record["pid"])
    if not found:
        return False, f"{role}: no process of this user runs here, or it has not started yet"
    return True, f"{role}: ok ({len(found)} running)"


def main(arguments: list[str]) -> int:
    """Print the health of a role and return an exit code: 0 if it is well, 1 if not, 2 for another argument."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        print(f"Usage: pixelbloom health {'|'.join(ROLES)}", flush=True)  # noqa: T201
        return 0 if arguments == ["--help"] else 2
    well, sentence = check(arguments[0])
    print(sentence, flush=True)  # noqa: T201
    return 0 if well else 1


def _record(role: str, values: dict[str, Any]) -> None:
    file = _file(role, os.getpid())
    try:
        if not values and file in _written and file.exists():
            os.utime(file)
            return
        file.parent.mkdir(mode=0o700, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps({"pid": os.getpid(), "started": _started(os.getpid()), **values}))
        new.replace(file)
        _written.add(file)
    except OSError:
        return


def _problem(role: str, record: dict[str, Any], age: float) -> str | None:
    if "address" in record:
        return _request(record["address"], record["path"])
    if age > (STUCK_BEAT_SECONDS if role == "beat" else STUCK_SECONDS):
        return f"has not run its main loop for {age:.0f} s"
    return None


def _request(address: Any, path: str) -> str | None:
    """Return what is wrong with the response of a server, or None."""
    target: Any = address if isinstance(address, str) else tuple(address)
    family = socket.AF_UNIX if target is address else socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    try:
        with socket.socket(family) as connection:
            connection.settimeout(REPLY_SECONDS)
            connection.connect(target)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            status = connection.recv(64).split(b" ")
    except OSError:
        return "does not respond"
    return None if status[1:2] == [b"200"] else "responds with an error"


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"pixelbloom-{os.getuid()}"


def _file(role: str, pid: int) -> Path:
    return _folder() / f"{role}-{pid}.json"


def _started(pid: int) -> str | None:
    """Return when a process began, which distinguishes it from a later one with its number; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:  # without /proc only the number is known
        os.kill(pid, 0)
    except OSError:
        return None
    return ""
