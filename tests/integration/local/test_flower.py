"""Flower of the local stack accepts commands only with its password."""

from collections.abc import Iterator

import pytest
import requests

from tests.stack import Stack, StartedProcess
from tests.waiting import SECONDS

SHUTDOWN = "/api/worker/shutdown/agents@nowhere"
FOREIGN = {"Origin": "https://evil.example"}


@pytest.fixture(scope="module")
def flower(stack: Stack) -> Iterator[StartedProcess]:
    process = stack.start("flower", env={"FLOWER_UNAUTHENTICATED_API": "true"})
    yield process
    process.stop()


@pytest.fixture
def auth(stack: Stack) -> tuple[str, str]:
    user, _, password = stack.env["FLOWER_BASIC_AUTH"].partition(":")
    assert len(password) >= 24
    return user, password


@pytest.mark.parametrize("path", ["/", "/workers", "/tasks", "/api/workers", "/api/tasks"])
@pytest.mark.parametrize("headers", [{}, FOREIGN, {"Host": "evil.example"}])
def test_without_credentials_nothing_is_shown(flower: StartedProcess, path: str, headers: dict[str, str]) -> None:
    response = requests.get(flower.url + path, headers=headers, timeout=SECONDS)
    assert response.status_code == 401
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("headers", [{}, FOREIGN, {"Host": "evil.example", **FOREIGN}])
def test_a_command_without_credentials_is_401(flower: StartedProcess, headers: dict[str, str]) -> None:
    response = requests.post(flower.url + SHUTDOWN, headers=headers, timeout=SECONDS)
    assert response.status_code in (401, 403)
    assert "Access-Control-Allow-Origin" not in response.headers
    if not headers:
        assert response.status_code == 401


@pytest.mark.parametrize("headers", [FOREIGN, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_a_command_from_another_web_page_is_refused_although_the_browser_knows_the_password(
    flower: StartedProcess, auth: tuple[str, str], headers: dict[str, str]
) -> None:
    response = requests.post(flower.url + SHUTDOWN, headers=headers, auth=auth, timeout=SECONDS)
    assert response.status_code == 403
    assert "Access-Control-Allow-Origin" not in response.headers


def test_no_preflight_allows_another_web_page(flower: StartedProcess) -> None:
    headers = {**FOREIGN, "Access-Control-Request-Method": "POST"}
    response = requests.options(flower.url + SHUTDOWN, headers=headers, timeout=SECONDS)
    assert not {name for name in response.headers if name.startswith("Access-Control")}


def test_flower_opens_with_its_password(flower: StartedProcess, auth: tuple[str, str]) -> None:
    assert requests.get(f"{flower.url}/api/workers", auth=auth, timeout=SECONDS).status_code == 200
    unknown = requests.post(flower.url + SHUTDOWN, auth=auth, timeout=SECONDS)
    assert unknown.status_code == 404, "a worker that it does not know"


def test_flower_listens_on_loopback_without_a_password_on_its_command_line(
    flower: StartedProcess, auth: tuple[str, str]
) -> None:
    from pixelbloom.local.roles import command

    argv = command("flower", {"FLOWER_BASIC_AUTH": ":".join(auth)}).argv
    assert "--address=127.0.0.1" in argv
    assert not any(auth[1] in part or "auth" in part for part in argv)
