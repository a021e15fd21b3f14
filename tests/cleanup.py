"""Closes what a failed test left open, so that no later test of its process fails for it."""

import gc
import traceback
import warnings
from typing import Any

import pytest

#: Set on a test that has failed.
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any]) -> None:
    """Close what the frames of the failed test hold: sockets, files, connections.

    Its error refers to them until the next test runs: their warnings would fail it, and servers count them as open.
    """
    if call.excinfo is None:
        return
    node.stash[FAILED] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        error: BaseException | None = call.excinfo.value
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            for frame, _ in traceback.walk_tb(error.__traceback__):
                frame.f_locals  # noqa: B018  (Python before 3.13 has copied them for pytest; this empties the copy)
            error = error.__cause__ or error.__context__
        gc.collect()
