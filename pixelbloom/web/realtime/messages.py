"""The frames of the three sockets as models, for the AsyncAPI document. `protocol.py` reads and writes them."""

from typing import Any, ClassVar, Literal

from pydantic import Field, create_model

from pixelbloom.core.statuses import RunStatusName
from pixelbloom.events import domain
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS, WORKFLOWS
from pixelbloom.web.analytics.figures import Figure, MoneyFigure, Point
from pixelbloom.web.http.rendering import JsonObject, Time, Uuid
from pixelbloom.web.http.schemas import Shape
from pixelbloom.web.notifications.schemas import NotificationBody
from pixelbloom.web.realtime.protocol import MAX_EPOCH, MAX_SEQ, MAX_TOKEN, MAX_TOPIC

Channel = Literal["analytics", "notifications", "workflows"]
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Message(Shape):
    """A frame."""

    #: The sockets that it is sent on.
    channels: ClassVar[tuple[str, ...]] = (ANALYTICS, NOTIFICATIONS, WORKFLOWS)


class Subscribe(Message):
    """Subscribes to a topic. The response is `subscribed`, then a snapshot or the events after `since`."""

    type: Literal["subscribe"]
    topic: str = Field(min_length=1, max_length=MAX_TOPIC)
    params: JsonObject = Field({}, description="Of the topics of analytics: start_date, end_date, aggregation, ...")
    since: int | None = Field(None, ge=0, le=MAX_SEQ, description="The seq of the last event that was received.")
    epoch: str | None = Field(None, min_length=1, max_length=MAX_EPOCH, description="From `subscribed`.")


class Unsubscribe(Message):
    """Ends a subscription. The response is `unsubscribed`."""

    type: Literal["unsubscribe"]
    topic: str = Field(min_length=1, max_length=MAX_TOPIC)


class Ping(Message):
    """Requests a `pong`."""

    type: Literal["ping"]


class Heartbeat(Message):
    """Signals that the client is alive. It has no response."""

    type: Literal["heartbeat"]
    timestamp: Any = Field(None, description="Ignored.")


class Auth(Message):
    """Replaces the token before it expires. The response is `authenticated`."""

    type: Literal["auth"]
    token: str = Field(min_length=1, max_length=MAX_TOKEN)


class Subscribed(Message):
    """A subscription began, or began again after a gap."""

    type: Literal["subscribed"]
    channel: Channel
    topic: str
    seq: int = Field(description="The position that the next events continue.")
    epoch: str = Field(description="Changes when the sequence restarts.")
    recovered: bool = Field(description="True: the events after `since` follow. False: a snapshot follows.")


class Unsubscribed(Message):
    """A subscription ended."""

    type: Literal["unsubscribed"]
    topic: str


class Pong(Message):
    """The response to `ping`."""

    type: Literal["pong"]


class Authenticated(Message):
    """The new token is accepted."""

    type: Literal["authenticated"]
    expires_at: Time


class Error(Message):
    """A frame was refused, or a subscription ended. The socket stays open unless it is closed with 1008."""

    type: Literal["error"]
    code: Literal["BAD_REQUEST", "UNAUTHORIZED", "INVALID_TOPIC", "RATE_LIMITED", "UNAVAILABLE", "INTERNAL"]
    message: str = Field(description="A sentence that says what to do.")
    topic: str = Field("", description="The topic that the error is about, if any.")


class Event(Message):
    """What happened on a topic."""

    type: Literal["event"]
    seq: int = Field(description="Grows by one with each event of the topic.")
    ts: Time
    snapshot: Literal[True] = Field(True, description="Present if `data` is the complete current state.")


class RunData(Shape):
    """The state of a run, or more text of one of its steps."""

    status: RunStatusName
    progress: float = Field(ge=0, le=1)
    step: str
    delta: str = Field("", description="New text of `step`.")
    offset: int = Field(0, description="Characters of the step's text before `delta`.")
    reset: bool = Field(False, description="The text of `step` before this `delta` is discarded.")
    retrying_with: str = Field("", description="With `reset`: the provider that is tried next.")
    text: str = Field("", description="In a snapshot: the text of `step` so far.")
    texts: dict[str, str] = Field({}, description="In a snapshot of a workflow: the texts of its running steps.")
    text_from: int = Field(0, description="The character at which `text` begins.")
    text_truncated: bool = Field(False, description="The text exceeded 256 KiB; the final result is complete.")
    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    updated_at: Time = ""
    steps: Any = Field(None, description="Of a workflow: the status of each step.")
    result: Any = Field(None, description="Of a completed run of an agent.")
    outputs: Any = Field(None, description="Of a completed run of a workflow, by step key.")
    error: str | None = Field(None, description="Why the run failed.")
    error_code: str | None = None


class RunEvent(Event):
    """An event of the topic `workflow_run:<id>`; runs of agents have one too."""

    channels = (WORKFLOWS,)
    channel: Literal["workflows"]
    topic: str = Field(pattern=f"^workflow_run:{_UUID}$")
    data: RunData


class UnreadNotifications(Shape):
    """The unread notifications of a user."""

    items: list[NotificationBody] = Field(description="The newest 100.")
    unread_count: int = Field(description="The total number.")


class NotificationEvent(Event):
    """An event of the topic `user:<id>`: a new notification, or as a snapshot the unread ones."""

    channels = (NOTIFICATIONS,)
    channel: Literal["notifications"]
    topic: str = Field(pattern=f"^user:{_UUID}$")
    data: NotificationBody | UnreadNotifications


class Kpis(Shape):
    """The figures of the overview."""

    total_leads: Figure
    active_conversations: Figure
    conversion_rate: Figure
    total_revenue: MoneyFigure


class TrendEvent(Event):
    """An event of the topics `lead_trends` and `conversation_trends`: the whole series."""

    channels = (ANALYTICS,)
    channel: Literal["analytics"]
    topic: Literal["lead_trends", "conversation_trends"]
    data: list[Point]


class KpisEvent(Event):
    """An event of the topic `kpis`: the figures of `GET /api/analytics/overview`."""

    channels = (ANALYTICS,)
    channel: Literal["analytics"]
    topic: Literal["kpis"]
    data: Kpis


class RunStatusData(Shape):
    """The state of a run."""

    workflow_run_id: Uuid
    workflow_id: str = Field(description="The agent_type, for a run of an agent.")
    user_id: Uuid | None
    status: RunStatusName
    step: str
    progress: float = Field(ge=0, le=1)
    updated_at: Time


class WorkflowStatusUpdate(Message):
    """The state of one of your runs changed. Sent without subscribing, unless the run's topic is subscribed to."""

    channels = (WORKFLOWS,)
    type: Literal["workflow_status_update"]
    data: RunStatusData


def _flat(kind: type[domain.DomainEvent]) -> type[Message]:
    """The flat form of a domain event."""
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in kind.model_fields.items()}
    data = create_model(f"{kind.__name__}Data", __base__=Shape, __doc__=kind.__doc__, id=(Uuid, ...), **fields)
    members: dict[str, Any] = {"type": (Literal[kind.type], ...), "data": (data, ...)}
    made = create_model(kind.__name__, __base__=Message, __doc__=kind.__doc__, **members)
    made.channels = (kind.channel,)
    return made


#: What clients send, and what the server sends.
FROM_CLIENT: tuple[type[Message], ...] = (Subscribe, Unsubscribe, Ping, Heartbeat, Auth)
FROM_SERVER: tuple[type[Message], ...] = (
    *(Subscribed, Unsubscribed, Pong, Authenticated, Error),
    *(RunEvent, NotificationEvent, TrendEvent, KpisEvent, WorkflowStatusUpdate),
    *(_flat(kind) for kind in domain.TYPES.values() if kind is not domain.DataChanged),  # which no client gets
)
