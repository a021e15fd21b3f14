"""Conversations through the API."""

from typing import Any

from tests.integration.http import Api

PATH = "/api/conversations"


def begun(api: Api, **body: Any) -> dict[str, Any]:
    response = api.request("POST", PATH, json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def said(api: Api, conversation: dict[str, Any], content: str, wait: int | None = 60, **headers: str) -> dict[str, Any]:
    headers |= {"Prefer": f"wait={wait}"} if wait else {}
    path = f"{PATH}/{conversation['conversation_id']}/messages"
    response = api.request("POST", path, json={"content": content}, headers=headers)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def read(api: Api, conversation: dict[str, Any]) -> dict[str, Any]:
    response = api.get(f"{PATH}/{conversation['conversation_id']}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def contents(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]
