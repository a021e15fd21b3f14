"""The Chromium of this machine."""

import shutil

from playwright.sync_api import Browser, Playwright

#: Resolves to loopback in this browser, and is no origin that the API allows.
FOREIGN = "elsewhere.example"


def program() -> str | None:
    """The path of Chromium; None where this machine has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def launched(playwright: Playwright, path: str | None) -> Browser:
    """A browser without a window."""
    assert path is not None, "no Chromium on this machine: install Debian's package chromium"
    return playwright.chromium.launch(
        executable_path=path,
        timeout=120_000,
        args=["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"],
    )
