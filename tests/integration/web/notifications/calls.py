"""Notifications in the database and through the API."""

from typing import Any
from uuid import UUID

import psycopg

from tests.integration.http import Api
from tests.rows import one

PATH = "/api/notifications"


def notified(db: psycopg.Connection, user: Api, title: str = "Hello", **columns: Any) -> UUID:
    row = {"user_id": user.user_id, "notification_type": "news", "title": title, "message": "You there", **columns}
    names = ", ".join(row)
    found: UUID = one(
        db,
        f"insert into notifications ({names}) values ({', '.join(['%s'] * len(row))}) returning id",  # noqa: S608
        *row.values(),
    )
    return found


def listed(user: Api, **query: Any) -> dict[str, Any]:
    response = user.get(PATH, params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found
