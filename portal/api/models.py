"""What the models of the API share: strict requests, ids and times as JSON knows them, pages of a list."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Item = TypeVar("Item")


class Body(BaseModel):
    """A request's body: unknown members are refused, so that a typing error is told."""

    model_config = ConfigDict(extra="forbid", str_max_length=10_000)


class Query(BaseModel):
    """A request's query: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class PageQuery(Query):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=200, description="Entries of a page at the most.")] = 50
    cursor: Annotated[str | None, Field(max_length=64, description="`next_cursor` of the page before.")] = None


class ListPage(Answer, Generic[Item]):
    """One page of a list, newest first. `next_cursor` is null on the last."""

    data: list[Item]
    next_cursor: str | None = None


Label = Annotated[
    str,
    Field(min_length=1, max_length=120, description="Printable characters.", json_schema_extra={"format": "label"}),
]
"""A name that people gave, as `domain.names.valid_name` takes it."""


def _no_truth(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("Write a whole number")  # noqa: TRY004  pydantic's way to say so
    return value


WHOLE = BeforeValidator(_no_truth)
"""Behind a field's bounds: a whole number as JSON Schema means it: 48.0 is one; true and "48" are none."""

Credits = Annotated[str, Field(description="Decimal number of credits, exact.", examples=["12.5"])]


class Problem(BaseModel):
    """RFC 9457 problem document: every refusal of the API."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such API key."])
    code: str = Field(description="For programs; stable.", examples=["not_found"])
    request_id: str = Field(description="Tell it to us.", examples=["5a1c2b1e-6f0e-4d0a-9f0e-3f1d2c4b5a69"])
