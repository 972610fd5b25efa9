"""The RateLimit fields of an answer (IETF draft 11; values after RFC 9651) and their older relatives.

Pure: a bucket's figures in, header fields out. Shadow limits are not shown, because they bind nobody, nor are caps on
requests in progress, which no time resets, nor spend caps. Quotas say that they count units (`qu`). `t` and X-RateLimit-Reset are whole seconds from now, rounded up.
Retry-After is the problem document's (gateway.problems).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.quotas.bucket import Bucket
from domain.quotas.costs import CREDITS, QUOTA
from domain.quotas.windows import WINDOW_SECONDS, WindowState
from domain.snapshots import LimitSnapshot
from gateway.ends import Headers

_LARGEST_INTEGER = 999_999_999_999_999
"""RFC 9651 section 3.3.1."""


class Template(NamedTuple):
    """What stays the same for a bucket: its policy field, the form of its state field, and the limits shown.

    `all_shown`: the figures fit the form as they are. `positions` are of the limits shown. `forms` belongs to
    `gateway.ratelimit_lines`. Buckets with the same limits share it.
    """

    policy: tuple[bytes, bytes]
    form: bytes
    positions: tuple[int, ...]
    amounts: tuple[int, ...]
    all_shown: bool
    forms: dict[tuple[int, ...], bytes]


_MOST_TEMPLATES = 1_024
_templates: dict[int, tuple[Sequence[LimitSnapshot], Template]] = {}
"""By the identity of the limits, which are kept so that it stays theirs."""


class Memo:
    """What a bucket keeps for us. `lines` belongs to `gateway.ratelimit_lines`."""

    __slots__ = ("lines", "template")

    def __init__(self, template: Template) -> None:
        self.template = template
        self.lines: Any = None


def render(bucket: Bucket, *, legacy: bool, windows: Sequence[WindowState] | None = None) -> Headers:
    """The fields for an answer; none without limits to show. `windows` stand in for what the bucket knows itself."""
    template = template_of(bucket)
    if not template.positions:
        return []
    if windows is None:
        figures = bucket.numbers()
    else:
        figures = tuple(figure for window in windows for figure in (window.remaining, window.reset_seconds))
    if not template.all_shown:
        figures = tuple(figure for at in template.positions for figure in figures[2 * at : 2 * at + 2])
    fields: Headers = [template.policy, (b"ratelimit", template.form % figures)]
    if legacy:
        fields += _legacy(template, figures)
    return fields


def template_of(bucket: Bucket) -> Template:
    """Made once for the limits of a plan."""
    memo = bucket.memo
    if memo is None:
        limits = bucket.limits
        known = _templates.get(id(limits))
        if known is None or known[0] is not limits:
            if len(_templates) >= _MOST_TEMPLATES:
                _templates.clear()
            known = _templates[id(limits)] = limits, make_template(limits)
        memo = bucket.memo = Memo(known[1])
    template: Template = memo.template
    return template


def make_template(limits: Sequence[LimitSnapshot]) -> Template:
    """The template of some limits."""
    shown = [
        at
        for at, limit in enumerate(limits)
        if not limit.shadow and limit.period != "concurrent" and limit.unit != CREDITS
    ]
    policy = ", ".join(_policy(limits[at]) for at in shown)
    form = ", ".join(quoted(limits[at].name).replace("%", "%%") + ";r=%d;t=%d" for at in shown)
    return Template(
        (b"ratelimit-policy", policy.encode()),
        form.encode(),
        tuple(shown),
        tuple(limits[at].amount for at in shown),
        len(shown) == len(limits),
        {},
    )


def _policy(limit: LimitSnapshot) -> str:
    unit = ';qu="quota-units"' if limit.unit == QUOTA else ""
    return f"{quoted(limit.name)};q={min(limit.amount, _LARGEST_INTEGER)}{unit};w={WINDOW_SECONDS[limit.period]}"


def quoted(name: str) -> str:
    """A name as an RFC 9651 String: what is not printable ASCII becomes `_`."""
    printable = "".join(letter if " " <= letter <= "~" else "_" for letter in name)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _legacy(template: Template, figures: tuple[int, ...]) -> Headers:
    at = tightest(figures)
    return [
        (b"x-ratelimit-limit", b"%d" % template.amounts[at // 2]),
        (b"x-ratelimit-remaining", b"%d" % figures[at]),
        (b"x-ratelimit-reset", b"%d" % figures[at + 1]),
    ]


def tightest(figures: tuple[int, ...]) -> int:
    """Where the tightest window stands: least remaining, of several the one that turns last."""
    found, least = 0, figures[0]
    for at in range(2, len(figures), 2):
        remaining = figures[at]
        if remaining < least or (remaining == least and figures[at + 1] > figures[found + 1]):
            found, least = at, remaining
    return found
