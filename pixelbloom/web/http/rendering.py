"""Responses as models: each is built from a row or from an object of a slice, and renders itself."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from pixelbloom.core.time_zones import iso, parse_time
from pixelbloom.database.cursors import write_cursor
from pixelbloom.database.pagination import Rows

Item = TypeVar("Item")


def _time(value: object) -> object:
    """Return a time in UTC with `Z`. The database's functions format their times so; columns have an offset."""
    if isinstance(value, datetime):
        return iso(value)
    return value if not isinstance(value, str) or value.endswith("Z") else iso(parse_time(value))


Uuid = UUID
Time = Annotated[str, BeforeValidator(_time), Field(json_schema_extra={"format": "date-time"})]
#: A number as the database has it: 149 does not become 149.0.
Number = Annotated[int | float, WithJsonSchema({"type": "number"})]
JsonObject = dict[str, Any]


def column(name: str, description: str | None = None) -> Any:
    """Return a field that shows the column `name` of a row."""
    return Field(validation_alias=name, description=description)


class Body(BaseModel):
    """The body of a response. Views return it, with a status and headers where these are not the usual ones.

    Fields that were not given are omitted. A field that shows a column of another name is a `column`.
    """

    def render(self) -> str:
        """Return the body as JSON."""
        return self.model_dump_json(by_alias=True, exclude_unset=True, ensure_ascii=True)


#: What a view returns: a body, its status and its headers.
Responded = tuple[Body, int, dict[str, str]]


class Page(Body, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")

    @classmethod
    def of(cls, rows: Rows, cursor: Callable[[Mapping[str, Any]], str] = write_cursor, **fields: Any) -> Self:
        """Return the page with these rows; `cursor` writes a row's. Further `fields` are those of subclasses."""
        if rows.total is not None:
            fields["total"] = rows.total
        next_cursor = cursor(rows.items[-1]) if rows.more else None
        return cls.model_validate({"items": rows.items, "next_cursor": next_cursor, **fields})


class CountedPage(Page[Item]):
    """A page of a list that can be counted."""

    total: int | None = Field(None, description="With `count=exact`: the number on all pages.")


class Versioned(Body):
    """A row with optimistic locking: the version is its ETag."""

    version: int = Field(description="Grows with each change; also the ETag.")

    def respond(self, status: int = 200) -> Responded:
        """Return the response with the ETag."""
        return self, status, {"ETag": f'"{self.version}"'}
