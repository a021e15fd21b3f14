"""The folders and files of a local stack."""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pixelbloom.config import SECRETS_FILE, STACK_FILE
from pixelbloom.errors import StackError

#: A unix socket's path ends at about 107 bytes; the longest name put behind the folder is `/pg/.s.PGSQL.5432.lock`.
LONGEST_SOCKET_FOLDER = 80


@dataclass(frozen=True)
class Home:
    """The folder of one stack (PIXELBLOOM_HOME), and the short folder of its sockets."""

    root: Path
    sockets: Path

    @classmethod
    def at(cls, path: Path) -> "Home":
        """Return the home at `path`, created if missing. Raises StackError if it cannot be created."""
        root = path.expanduser().absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            root = root.resolve()
            sockets = _socket_folder(root)
            home = cls(root, sockets)
            for folder in (root, home.logs, home.records, sockets):
                _private(folder)
        except OSError as error:
            raise StackError(f"PIXELBLOOM_HOME: cannot use {path}: {error.strerror or error}") from None
        return home

    def remove_sockets(self) -> None:
        """Remove the sockets' folder if it is empty. Only for the holder of the lock."""
        for folder in (self.postgres_sockets, self.sockets):
            with suppress(OSError):
                folder.rmdir()

    @property
    def postgres_sockets(self) -> Path:
        return self.sockets / "pg"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def records(self) -> Path:
        """The record of started processes, so that a later start can end leftovers."""
        return self.root / "run"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def stripe(self) -> Path:
        """The objects of the stand-in for Stripe."""
        return self.root / "stripe.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def secrets_file(self) -> Path:
        return self.root / SECRETS_FILE

    @property
    def accounts_file(self) -> Path:
        """The passwords of the two accounts to sign in with."""
        return self.root / "accounts.env"

    @property
    def stack_file(self) -> Path:
        return self.root / STACK_FILE


def _socket_folder(root: Path) -> Path:
    name = f"pixelbloom-{os.getuid()}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if not base or len(os.fsencode(base)) + len(name) >= LONGEST_SOCKET_FOLDER:
            continue
        if Path(base).is_dir() and os.access(base, os.W_OK | os.X_OK):
            return Path(base).resolve() / name
    raise StackError("TMPDIR: no writable folder with a path short enough for unix sockets")


def _private(folder: Path) -> None:
    """Make the folder private to this user. In /tmp, a folder of another user is not used."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StackError(f"{folder} is not a folder of this user: move it away")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
