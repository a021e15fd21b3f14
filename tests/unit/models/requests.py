"""A request to a model, and replies to it."""

from pydantic import BaseModel, Field

from pixelbloom.models.request import Message, ModelRequest
from tests.servers.script import Script

REQUEST = ModelRequest(
    agent_type="chat_agent",
    messages=(Message("system", "Be kind."), Message("user", "Hello?")),
    model="llama3.1:8b",
    temperature=0.2,
    max_tokens=99,
)


class Verdict(BaseModel):
    word: str = Field(max_length=20)
    points: int = Field(ge=0, le=10)


GOOD = Script(text='{"word": "fine", "points": 7}')
BAD = Script(text="I would rather not say.")
