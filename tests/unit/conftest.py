"""What the tests of models and agents share: the stand-ins, settings that point at them, and witnesses."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from pixelbloom.agents.base import AgentContext
from pixelbloom.agents.conversation_reader import ConversationReader, Turn
from pixelbloom.agents.lead_reader import LeadReader, LeadRecord
from pixelbloom.config import Settings
from pixelbloom.models.control import CallControl
from pixelbloom.models.manager import ModelManager
from pixelbloom.models.request import ModelCall
from tests.servers.huggingface import KEY, HuggingFaceServer
from tests.servers.ollama import OllamaServer


class NoLeads:
    """A LeadReader over an empty table."""

    def get(self, lead_id: UUID) -> LeadRecord | None:
        return None

    def search(self, text: str, limit: int) -> Sequence[LeadRecord]:
        return ()


class NoConversations:
    """A ConversationReader over an empty table."""

    def history(self, conversation_id: UUID, run_id: UUID, step: str) -> Sequence[Turn] | None:
        return None


@dataclass
class Witness:
    """A TokenStream that remembers; `on_token` is called with each piece."""

    pieces: list[str] = field(default_factory=list)
    restarts: int = 0
    retrying_with: list[str | None] = field(default_factory=list)
    on_token: Callable[[str], None] = lambda piece: None

    def token(self, text: str) -> None:
        self.pieces.append(text)
        self.on_token(text)

    def restart(self, retrying_with: str | None = None) -> None:
        self.restarts += 1
        self.retrying_with.append(retrying_with)
        self.pieces.clear()

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass
class World:
    """Both stand-ins, and managers that ask them."""

    ollama: OllamaServer
    huggingface: HuggingFaceServer
    calls: list[ModelCall] = field(default_factory=list)

    def settings(self, **changes: object) -> Settings:
        values: dict[str, object] = {
            "ollama_host": self.ollama.url,
            "huggingface_api_key": KEY,
            "huggingface_base_url": self.huggingface.base_url,
            "model_timeout": 20,
        }
        return Settings(_env_file=None, **{**values, **changes})  # type: ignore[arg-type, call-arg]

    def manager(self, **changes: object) -> ModelManager:
        return ModelManager(self.settings(**changes), self.calls.append)

    def context(
        self,
        manager: ModelManager | None = None,
        leads: LeadReader | None = None,
        conversations: ConversationReader | None = None,
    ) -> AgentContext:
        return AgentContext(
            run_id=uuid4(),
            step="only",
            attempt=1,
            user_id=None,
            models=manager or self.manager(),
            control=CallControl(60),
            stream=Witness(),
            leads=leads or NoLeads(),
            conversations=conversations or NoConversations(),
        )

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(call.provider, call.outcome) for call in self.calls]


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model setting of whoever runs the tests must not reach them."""
    for name in ("OLLAMA_HOST", "OLLAMA_MODEL", "OLLAMA_API_KEY", "HUGGINGFACE_API_KEY", "MODEL_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def world() -> Iterator[World]:
    with OllamaServer() as ollama, HuggingFaceServer() as huggingface:
        yield World(ollama, huggingface)


@pytest.fixture
def stream() -> Witness:
    return Witness()


@pytest.fixture
def control() -> CallControl:
    return CallControl(60)
