"""The field that says which organization an action is about."""

from typing import Annotated

from pydantic import Field as Constraint

from admin.actions.action import Field

Slug = Annotated[str, Constraint(min_length=1, max_length=63)]
ORGANIZATION = Field("organization", "Organization", hint="Its short name, as in its address: acme.", maxlength=63)
