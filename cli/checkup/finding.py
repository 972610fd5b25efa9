"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `paid-endpoint doctor`. `advice` says what to do, and is empty when all is well."""

    status: Status
    subject: str
    detail: str
    advice: str = ""


def judge(subject: str, detail: str, *, fails: bool = False, warns: bool = False, advice: str = "") -> Finding:
    """A finding whose advice stands only if there is something to do."""
    status: Status = "fail" if fails else "warn" if warns else "ok"
    return Finding(status, subject, detail, advice if status != "ok" else "")
