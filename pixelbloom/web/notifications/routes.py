"""`/api/notifications`: a user's notifications, and broadcasts by administrators."""

from uuid import UUID

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.auth.principal import scope_of
from pixelbloom.errors import Forbidden, NotFound
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import authenticate, listed_owner, principal, require_admin
from pixelbloom.web.http.openapi import SECURITY, failures, nothing, success
from pixelbloom.web.http.schemas import uuid_or_none
from pixelbloom.web.notifications.schemas import (
    BroadcastBody,
    BroadcastPath,
    BroadcastRequest,
    MarkedBody,
    MarkRequest,
    NotificationBody,
    NotificationPage,
    NotificationPath,
    NotificationsQuery,
    UnreadBody,
    UnreadQuery,
)

notifications = APIBlueprint(
    "notifications",
    __name__,
    url_prefix="/api/notifications",
    abp_tags=[Tag(name="Notifications", description="Notifications of users; live on /api/ws/notifications.")],
    abp_security=SECURITY,
)

_NO_SUCH = "There is no such notification, or it is not yours."


@notifications.before_request
def guard() -> None:
    """Require a token with the scope of notifications, if it has scopes; reading includes marking and removing."""
    authenticate()
    writes = request.endpoint == f"{notifications.name}.{notify_users.__name__}"
    principal().require(scope_of("notifications", write=writes))
    if writes:
        require_admin("notify users")


@notifications.get(
    "",
    summary="List notifications",
    operation_id="listNotifications",
    responses={**success(NotificationPage), **failures(400, 401, 403, 500, 503)},
)
def list_notifications(query: NotificationsQuery) -> NotificationPage:
    """Returns your own notifications, newest first, without expired ones. Services and administrators get everybody's,
    or those of `user_id`; `unread_count` is null if everybody's are listed.
    """
    rows, unread = services().notifications.page(
        listed_owner(query.user_id),
        limit=query.limit,
        unread_only=query.unread_only,
        kind=query.notification_type,
        before=query.before,
        total=query.count == "exact",
    )
    return NotificationPage.of(rows, unread_count=unread)


@notifications.get(
    "/unread-count",
    summary="Count unread notifications",
    operation_id="countUnreadNotifications",
    responses={**success(UnreadBody), **failures(400, 401, 403, 500, 503)},
)
def unread_count(query: UnreadQuery) -> UnreadBody:
    """Returns the number for a badge; the topic `user:<id>` begins with the same number. Services and administrators
    may name a `user_id`; a service has to.
    """
    user_id = reader() if query.user_id is None else listed_owner(query.user_id)
    assert user_id is not None
    return UnreadBody(unread_count=services().notifications.count_unread(user_id))


@notifications.get(
    "/<notification:notification_id>",
    summary="Get a notification",
    operation_id="getNotification",
    responses={**success(NotificationBody), **failures(401, 403, 404, 500, 503)},
)
def get_notification(path: NotificationPath) -> NotificationBody:
    """Returns one of your own notifications, or for services and administrators anybody's. Does not mark it as read."""
    found = services().notifications.find(listed_owner(None), _id(path.notification_id))
    if found is None:
        raise NotFound(_NO_SUCH)
    return NotificationBody.model_validate(found)


@notifications.post(
    "/mark-read",
    summary="Mark notifications as read",
    operation_id="markNotificationsRead",
    responses={**success(MarkedBody), **failures(400, 401, 403, 413, 500, 503)},
)
def mark_read(body: MarkRequest) -> MarkedBody:
    """Marks your own notifications; others are skipped."""
    return MarkedBody.model_validate(services().notifications.mark_read(reader(), body.notification_ids))


@notifications.post(
    "/mark-all-read",
    summary="Mark all notifications as read",
    operation_id="markAllNotificationsRead",
    responses={**success(MarkedBody, example={"marked": 3, "unread_count": 0}), **failures(401, 403, 500, 503)},
)
def mark_all_read() -> MarkedBody:
    """Marks all your current notifications."""
    return MarkedBody.model_validate(services().notifications.mark_read(reader(), None))


@notifications.delete(
    "/<notification:notification_id>",
    summary="Delete a notification",
    operation_id="deleteNotification",
    responses={**nothing("Notification deleted."), **failures(401, 403, 404, 500, 503)},
)
def remove_notification(path: NotificationPath) -> tuple[str, int]:
    """Deletes one of your own notifications, or for services and administrators anybody's."""
    if not services().notifications.remove(listed_owner(None), _id(path.notification_id)):
        raise NotFound(_NO_SUCH)
    return "", 204


@notifications.post(
    "",
    summary="Send a notification",
    operation_id="sendNotification",
    responses={**success(BroadcastBody, status=201), **failures(400, 401, 403, 413, 500, 503)},
)
def notify_users(body: BroadcastRequest) -> tuple[BroadcastBody, int]:
    """For administrators and services: to one user, up to a thousand, or all users. Workers send it in batches; each
    user gets it once.
    """
    row = services().broadcasts.add(body.notification, body.audience, principal().user_id)
    return BroadcastBody.model_validate(row), 201


@notifications.get(
    "/broadcasts/<broadcast_id>",
    summary="Get a broadcast",
    operation_id="getBroadcast",
    responses={**success(BroadcastBody), **failures(401, 403, 404, 500, 503)},
)
def get_broadcast(path: BroadcastPath) -> BroadcastBody:
    """For administrators and services. Returns how many users a notification has reached."""
    require_admin("see broadcasts")
    broadcast_id = uuid_or_none(path.broadcast_id)
    row = services().broadcasts.find(broadcast_id) if broadcast_id else None
    if row is None:
        raise NotFound("There is no such broadcast.")
    return BroadcastBody.model_validate(row)


def reader() -> UUID:
    """Return the user to mark or count for: the caller, even an administrator. Raises Forbidden for services."""
    user_id = principal().user_id
    if user_id is None:
        raise Forbidden("A service has no notifications of its own; use a user's token, or name a user_id to read.")
    return user_id


def _id(text: str) -> UUID:
    found = uuid_or_none(text)
    if found is None:
        raise NotFound(_NO_SUCH)
    return found
