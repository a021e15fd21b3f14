"""The input, the output and the draft of web_development_agent."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pixelbloom.agents.fields import (
    NUMBER,
    AgentInput,
    AgentOutput,
    Brief,
    Currency,
    Draft,
    DraftLines,
    DraftText,
    Money,
    PositiveAmount,
    amount_schema,
)

ProjectType = Literal["landing_page", "website", "shop", "web_app", "portal", "api"]

HourlyRate = Annotated[
    PositiveAmount,
    Field(le=10_000_000),
    amount_schema(0.01, Decimal(10_000_000)),
]


class WebDevelopmentInput(AgentInput):
    """The project to build."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "project_type": "website",
                    "description": "Site for a dental clinic with three locations.",
                    "pages": 14,
                    "features": ["online booking", "contact form", "blog"],
                    "languages": 2,
                    "team_size": 2,
                    "deadline_weeks": 12,
                    "hourly_rate": 95,
                }
            ]
        }
    )

    description: Brief = Field(description="What it is and whom it is for.")
    project_type: ProjectType = Field("website", description="Kind of project.")
    pages: Annotated[int, Field(ge=0, le=500), NUMBER] = Field(8, description="Different pages or screens.")
    features: list[Annotated[str, StringConstraints(min_length=1, max_length=200)]] = Field(
        default=[], max_length=40, description="What it must do, one feature each."
    )
    languages: Annotated[int, Field(ge=1, le=30), NUMBER] = Field(1, description="Languages of the content.")
    team_size: Annotated[int, Field(ge=1, le=20), NUMBER] = Field(2, description="People who work on it.")
    deadline_weeks: Annotated[int, Field(ge=1, le=260), NUMBER] | None = Field(
        None, description="Weeks until it must be online."
    )
    hourly_rate: HourlyRate = Field(Decimal(95), description="Price of an hour.")
    currency: Currency = Field("usd", description="Currency of the rate, as ISO 4217.")


class EffortItem(BaseModel):
    """A part of the work."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="What is done.")
    hours: int = Field(ge=0, description="Likely hours.")
    basis: Literal["known", "assumed"] = Field(description="Whether we know such work, or assume its size.")


class Phase(BaseModel):
    """A phase of the project."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Name.")
    hours: int = Field(ge=0, description="Likely hours.")
    ends_in_week: int = Field(ge=1, description="The week of the project in which it ends.")


class WebDevelopmentOutput(AgentOutput):
    """The estimate and the plan."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "summary": "About 230 hours, 5 weeks for two people.",
                    "hours_low": 190,
                    "hours_likely": 230,
                    "hours_high": 310,
                    "cost_likely": 21850,
                    "cost_high": 29450,
                    "currency": "usd",
                    "weeks": 5,
                    "meets_deadline": True,
                    "items": [{"name": "Booking", "hours": 44, "basis": "known"}],
                    "phases": [{"name": "Discovery", "hours": 23, "ends_in_week": 1}],
                    "stack": ["WordPress or a headless CMS"],
                    "risks": ["Content comes late."],
                    "questions": ["Who writes the texts?"],
                }
            ]
        }
    )

    summary: str = Field(description="The estimate in words.")
    hours_low: int = Field(ge=0, description="Hours if all goes well.")
    hours_likely: int = Field(ge=0, description="Likely hours.")
    hours_high: int = Field(ge=0, description="Hours if the assumptions prove wrong.")
    cost_likely: Money = Field(description="Likely hours at the rate.")
    cost_high: Money = Field(description="High hours at the rate.")
    currency: str = Field(description="Currency of the costs.")
    weeks: int = Field(ge=1, description="Weeks for the team.")
    meets_deadline: bool | None = Field(description="Whether that is within the deadline; null without one.")
    items: list[EffortItem] = Field(description="The parts that make up the hours.")
    phases: list[Phase] = Field(description="The plan.")
    stack: list[str] = Field(description="Suggested technology.")
    risks: list[str] = Field(description="What may go wrong.")
    questions: list[str] = Field(description="What must be answered before an offer.")


class WebDevelopmentDraft(Draft):
    """A technical lead's draft."""

    summary: DraftText = Field(description="the estimate and the approach in two to four sentences")
    stack: DraftLines = Field(
        description="list of two to six suggested technologies that fit the features and the team"
    )
    risks: DraftLines = Field(description="list of two to five risks of this very project")
    questions: DraftLines = Field(description="list of two to five questions to ask before an offer")
