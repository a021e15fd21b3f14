"""Becomes another program, tied to its parent's life. Run as a script: `python -I -S launch.py OPTIONS -- PROGRAM ...`.

    --parent PID        the process that must be alive
    --on-death NUMBER   the signal to get when that process dies (Linux; elsewhere the next start ends what was left)
    --namespace         run in a user namespace of one's own, as an ordinary user: Postgres refuses to run as root
    --uid N --gid N     run as this user

A helper program rather than `preexec_fn`, which is not safe in a process that has threads. Imports stay few: each
child of the stack pays for them.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
#: The user id of root inside the namespace: any but 0.
INSIDE = 1000


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc().unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE} {uid} 1"),
        ("gid_map", f"{INSIDE} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123  (pathlib costs 10 ms a child)
            file.write(content)


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(arguments: list[str]) -> None:
    """Set the process up as the options say, then replace it. Exits 127 where the program cannot be run."""
    split = arguments.index("--")
    options, program = arguments[:split], arguments[split + 1 :]
    values = dict(zip(options[::2], options[1::2], strict=False)) if "--namespace" not in options else {}
    if "--namespace" in options:
        rest = [option for option in options if option != "--namespace"]
        values = dict(zip(rest[::2], rest[1::2], strict=False))
        _enter_namespace()
    if "--uid" in values:
        _become(int(values["--uid"]), int(values["--gid"]))
    # After the change of user, which clears it.
    if "--on-death" in values and sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, int(values["--on-death"]), 0, 0, 0)
    if "--parent" in values and os.getppid() != int(values["--parent"]):
        sys.exit(1)  # the parent died before prctl
    try:
        os.execvp(program[0], program)  # noqa: S606
    except OSError as error:
        print(f"cannot run {program[0]}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
