"""Limits as customers read them: what is counted, and what narrows it."""

from typing import Protocol

_A = {"second": "a second", "minute": "a minute", "hour": "an hour", "day": "a day", "month": "a month"}


class Counted(Protocol):
    """What is needed of a limit."""

    @property
    def period(self) -> str:
        """Its window, or `concurrent`."""

    @property
    def unit(self) -> str:
        """`requests`, or `quota`."""

    @property
    def scope(self) -> str:
        """Who shares it."""


def counted_words(limit: Counted) -> str:
    """What it counts, without the number: `requests an hour`, `quota units a month`, `requests at once`."""
    what = "quota units" if limit.unit == "quota" else "requests"
    return f"{what} at once" if limit.period == "concurrent" else f"{what} {_A[limit.period]}"


def sharing_words(limit: Counted) -> str:
    """Who shares it, where that is not the whole organization."""
    return "for each key" if limit.scope == "key" else ""


def shared_words(limit: Counted) -> str:
    """Both together."""
    return f"{counted_words(limit)} {sharing_words(limit)}".rstrip()
