"""Names: topics as clients write them, and the Redis keys and channels behind them."""

from dataclasses import dataclass
from uuid import UUID

WORKFLOWS, NOTIFICATIONS, ANALYTICS = "workflows", "notifications", "analytics"

#: Which topics a channel has. The ones with an id are written `kind:<uuid>`.
KINDS_WITH_ID = {"workflow_run": WORKFLOWS, "user": NOTIFICATIONS}
KINDS = {"lead_trends": ANALYTICS, "conversation_trends": ANALYTICS, "kpis": ANALYTICS}


@dataclass(frozen=True)
class Topic:
    """A topic that exists as a name; whether its subject exists is another question."""

    channel: str
    kind: str
    id: UUID | None

    @property
    def name(self) -> str:
        return self.kind if self.id is None else f"{self.kind}:{self.id}"

    @classmethod
    def parse(cls, name: str) -> "Topic | None":
        """The topic of that name, or None where there is none."""
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
    """The topic of a user's notifications."""
    return f"user:{user_id}"


def run_topic(run_id: UUID) -> str:
    """The topic of one run; agent runs have one too."""
    return f"workflow_run:{run_id}"


def user_feed(user_id: UUID, channel: str) -> str:
    """The feed that a user's own sockets on a channel are joined to; clients cannot name it."""
    return f"user:{user_id}:{channel}"


def admins_feed(channel: str) -> str:
    """The feed of what happens to everybody's data, which administrators' sockets are joined to."""
    return f"admins:{channel}"


def figures(kind: str, scope: UUID | None, digest: str) -> str:
    """What carries the figures of one analytics topic about one user's data, or all, over one range of days."""
    return f"figures:{kind}:{scope or 'all'}:{digest}"


@dataclass(frozen=True)
class Keys:
    """Where a topic or feed lives in Redis: position and state, history, text, and pub/sub channel."""

    meta: str
    log: str
    text: str
    channel: str

    @classmethod
    def of(cls, name: str) -> "Keys":
        return cls(meta=f"pb:{name}:meta", log=f"pb:{name}:log", text=f"pb:{name}:text", channel=f"pb:{name}")
