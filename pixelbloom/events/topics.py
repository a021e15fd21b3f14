"""Names of topics, and their Redis keys and channels."""

from dataclasses import dataclass
from uuid import UUID

WORKFLOWS, NOTIFICATIONS, ANALYTICS = "workflows", "notifications", "analytics"

#: The channel of each kind of topic. Those with an id are written `kind:<uuid>`.
KINDS_WITH_ID = {"workflow_run": WORKFLOWS, "user": NOTIFICATIONS}
KINDS = {"lead_trends": ANALYTICS, "conversation_trends": ANALYTICS, "kpis": ANALYTICS}


@dataclass(frozen=True)
class Topic:
    """A topic with a valid name; its subject may not exist."""

    channel: str
    kind: str
    id: UUID | None

    @property
    def name(self) -> str:
        return self.kind if self.id is None else f"{self.kind}:{self.id}"

    @classmethod
    def parse(cls, name: str) -> "Topic | None":
        """Return the topic with that name, or None if the name is invalid."""
        kind, _, rest = name.partition(":")
        if kind in KINDS and not _:
            return cls(KINDS[kind], kind, None)
        if kind not in KINDS_WITH_ID or len(rest) != 36:
            return None
        try:
            return cls(KINDS_WITH_ID[kind], kind, UUID(rest))
        except ValueError:
            return None


def user_topic(user_id: UUID) -> str:
    """Return the topic of a user's notifications."""
    return f"user:{user_id}"


def run_topic(run_id: UUID) -> str:
    """Return the topic of a run, of an agent or a workflow."""
    return f"workflow_run:{run_id}"


def user_feed(user_id: UUID, channel: str) -> str:
    """Return the feed that the user's sockets on a channel join; clients cannot name it."""
    return f"user:{user_id}:{channel}"


def admins_feed(channel: str) -> str:
    """Return the feed of all users' data, which administrators' sockets join."""
    return f"admins:{channel}"


def figures(kind: str, scope: UUID | None, digest: str) -> str:
    """Return the name of an analytics topic's figures for one user's data, or all, over one range of days."""
    return f"figures:{kind}:{scope or 'all'}:{digest}"


@dataclass(frozen=True)
class Keys:
    """The Redis names of a topic or feed: position and state, history, text, and pub/sub channel."""

    meta: str
    log: str
    text: str
    channel: str

    @classmethod
    def of(cls, name: str) -> "Keys":
        return cls(meta=f"pb:{name}:meta", log=f"pb:{name}:log", text=f"pb:{name}:text", channel=f"pb:{name}")
