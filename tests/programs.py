"""Programs of Debian that tests use."""

import os
import shutil

import pytest


def debian_program(name: str, package: str) -> str:
    """Return the path of a program. Without it the test is skipped on a laptop, and fails where CI is set."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))
    if path is None:
        reason = f"no {name} on this machine: install Debian's package {package}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
