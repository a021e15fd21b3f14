"""The real supabase-js signs in on the local stack, reaches its rows, the API and a socket."""

from collections.abc import Iterator

import pytest

from tests import frontend
from tests.stack import Stack, StartedProcess, stop_all


@pytest.fixture
def web(stack: Stack) -> Iterator[StartedProcess]:
    started = [stack.start("agents"), stack.start("web")]
    yield started[-1]
    stop_all(started)


def test_a_front_end_signs_in_reads_and_writes_rows_invokes_an_agent_and_streams(
    stack: Stack, web: StartedProcess
) -> None:
    names = ("SUPABASE_URL", "SUPABASE_ANON_KEY")
    found = frontend.run(
        "session.mjs", {**{name: stack.settings.require(name.lower()) for name in names}, "API_URL": web.url}
    )
    assert found == {
        "signedUp": {"session": True, "name": "Ada"},
        "takenAddress": "user_already_exists",
        "weakPassword": {"code": "weak_password", "name": "AuthWeakPasswordError", "reasons": ["length"]},
        "wrongPassword": "invalid_credentials",
        "sameUser": True,
        "rotated": True,
        "claims": True,
        "metadata": "blue",
        "anonymous": True,
        "owner": True,
        "updated": "Navy",
        "listed": {"names": ["Grace"], "count": 1},
        "anothersRow": "42501",
        "score": "42501",
        "unsigned": "42501",
        "rpc": False,
        "invoked": 200,
        "streamed": "completed",
        "signedOut": True,
        "afterwards": "refresh_token_not_found",
    }
