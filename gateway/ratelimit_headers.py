"""The RateLimit fields of an answer (IETF draft 11; values after RFC 9651) and their older relatives.

Pure: a verdict in, header fields out. Shadow windows are not shown, because they bind nobody. `t` and
X-RateLimit-Reset are whole seconds from now, rounded up. Retry-After is the problem document's (gateway.problems).
"""

from dataclasses import dataclass
from uuid import UUID

from domain.quotas.windows import WINDOW_SECONDS, Verdict
from domain.snapshots import PlanSnapshot
from gateway.ends import Headers

_LARGEST_INTEGER = 999_999_999_999_999
"""RFC 9651 section 3.3.1."""


@dataclass(frozen=True, slots=True)
class _Template:
    """What stays the same for a plan: its policy field, and each shown window's position and beginning."""

    plan: PlanSnapshot
    policy: tuple[bytes, bytes]
    parts: tuple[tuple[int, str], ...]


_templates: dict[UUID, _Template] = {}
"""By plan; a template is of use as long as its plan's snapshot has not been replaced."""


def render(plan: PlanSnapshot, verdict: Verdict, *, legacy: bool) -> Headers:
    """The fields for an answer under `plan`, on which `verdict` was made; none for a plan without limits."""
    template = _templates.get(plan.id)
    if template is None or template.plan is not plan:
        template = _templates[plan.id] = _template(plan)
    if not template.parts:
        return []
    windows, texts = verdict.windows, []
    tightest = windows[template.parts[0][0]]
    for position, beginning in template.parts:
        window = windows[position]
        texts.append(f"{beginning}{window.remaining};t={window.reset_seconds}")
        if window.remaining <= tightest.remaining and (
            window.remaining < tightest.remaining or window.reset_seconds > tightest.reset_seconds
        ):
            tightest = window
    headers = [template.policy, (b"ratelimit", ", ".join(texts).encode())]
    if legacy:
        headers += (
            (b"x-ratelimit-limit", b"%d" % tightest.limit),
            (b"x-ratelimit-remaining", b"%d" % tightest.remaining),
            (b"x-ratelimit-reset", b"%d" % tightest.reset_seconds),
        )
    return headers


def quoted(name: str) -> str:
    """A name as an RFC 9651 String: what is not printable ASCII becomes `_`."""
    printable = "".join(letter if " " <= letter <= "~" else "_" for letter in name)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _template(plan: PlanSnapshot) -> _Template:
    shown = [(position, limit) for position, limit in enumerate(plan.limits) if not limit.shadow]
    policy = ", ".join(
        f"{quoted(limit.name)};q={min(limit.amount, _LARGEST_INTEGER)};w={WINDOW_SECONDS[limit.period]}"
        for _, limit in shown
    )
    parts = tuple((position, f"{quoted(limit.name)};r=") for position, limit in shown)
    return _Template(plan, (b"ratelimit-policy", policy.encode()), parts)
