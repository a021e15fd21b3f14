"""The account that runs Postgres, which refuses to run as root."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pixelbloom.errors import StackError
from pixelbloom.local.child import LAUNCHER
from pixelbloom.local.home import Home


@dataclass(frozen=True)
class Account:
    """Options for the launcher, and the required owner of the data (None: the current user)."""

    launch: Sequence[str] = ()
    owner: tuple[int, int] | None = None

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` under this account."""
        if not self.launch:
            return list(argv)
        return [sys.executable, "-I", "-S", str(LAUNCHER), *self.launch, "--", *argv]

    def own(self, folder: Path) -> None:
        """Change the owner of the folder and its contents to the account."""
        if self.owner is None or not folder.exists() or folder.stat().st_uid == self.owner[0]:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *self.owner, follow_symlinks=False)


def for_postgres(home: Home) -> Account:
    """Return the current user, or for root a user in a namespace, or `nobody` where namespaces are refused."""
    if os.geteuid() != 0:
        return Account()
    if _namespaces():
        return Account(("--namespace",))
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise StackError("Postgres refuses to run as root: start this as an ordinary user") from None
    for folder in (home.root, home.sockets):
        folder.chmod(0o711)
        for parent in folder.parents:
            if not parent.stat().st_mode & 0o001:
                raise StackError(
                    f"Postgres refuses to run as root, and the user nobody cannot pass {parent}: "
                    "set PIXELBLOOM_HOME to a folder that others may traverse, or start this as an ordinary user"
                )
    return Account(("--uid", str(nobody.pw_uid), "--gid", str(nobody.pw_gid)), (nobody.pw_uid, nobody.pw_gid))


@cache
def _namespaces() -> bool:
    if sys.platform != "linux":
        return False
    argv = Account(("--namespace",)).wrap(["true"])
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
