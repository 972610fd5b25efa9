"""The RateLimit fields as lines of a head, for the many answers in which only the remaining counts are new.

The text is that of `gateway.ratelimit_headers`. Seconds to a reset are looked at every `KEPT_SECONDS`, so they may say a
second more than they would at this instant, never less but for the moment in which a window turns.
"""

from time import monotonic

from domain.quotas.bucket import Bucket
from gateway.ratelimit_headers import Memo, Template, template_of

KEPT_SECONDS = 0.05


class _Lines:
    """One bucket's. `figures` are as of the last look; `order` are the limits shown, the last to reset first."""

    __slots__ = ("figures", "forms", "order", "positions", "resets", "template", "until")

    def __init__(self, template: Template) -> None:
        self.template = template
        self.positions = None if template.all_shown else template.positions
        self.figures: list[int] = []
        self.resets: list[int] = []
        self.order: list[int] = []
        self.forms: dict[int, bytes] = {}
        self.until = 0.0

    def look(self, bucket: Bucket, now: float) -> list[int]:
        """See when the windows reset; the figures of this moment."""
        self.until = now + KEPT_SECONDS
        self.figures = figures = list(bucket.numbers())
        resets = figures[1::2]
        if resets != self.resets:
            self.resets = resets
            seconds = [resets[at] for at in self.template.positions]
            self.order = sorted(range(len(seconds)), key=lambda at: -seconds[at])
            self.forms = {}
        return figures

    def form(self, tightest: int, *, legacy: bool) -> bytes:
        """The text with a place for each remaining count, and with `legacy` for that of the tightest window.

        Buckets of one plan share it: many reset in the same second.
        """
        shared, asked = self.template.forms, (tightest, legacy, *self.resets)
        form = shared.get(asked)
        if form is None:
            if len(shared) >= _MOST_FORMS:
                shared.clear()
            form = shared[asked] = self._made(tightest, legacy=legacy)
        return form

    def _made(self, tightest: int, *, legacy: bool) -> bytes:
        template = self.template
        seconds = [self.resets[at] for at in template.positions]
        state = template.form.decode() % tuple(number for second in seconds for number in (_PLACE, second))
        text = f"ratelimit-policy: {template.policy[1].decode()}\r\nratelimit: {state}\r\n".replace("%", "%%")
        text = text.replace(str(_PLACE), "%d")
        if legacy:
            text += f"x-ratelimit-limit: {template.amounts[tightest]}\r\nx-ratelimit-remaining: %d\r\n"
            text += f"x-ratelimit-reset: {seconds[tightest]}\r\n"
        return text.encode()


_MOST_FORMS = 512
_PLACE = -(2**63)
"""No count is negative."""


def lines(bucket: Bucket, *, legacy: bool) -> tuple[bytes, "list[int] | tuple[int, ...]"]:
    """The lines, and the figures that they were made of, as `bucket.numbers` says them."""
    memo: Memo | None = bucket.memo
    kept: _Lines | None = None if memo is None else memo.lines
    if kept is None:
        template = template_of(bucket)
        if not template.positions:
            return b"", ()
        kept = bucket.memo.lines = _Lines(template)
    now = monotonic()
    if now >= kept.until:
        figures = kept.look(bucket, now)
        remaining = figures[::2]
    else:
        remaining = [allowance.amount - allowance.used + allowance.left for allowance in bucket.allowances]
        if min(remaining) < 0:
            remaining = [max(0, count) for count in remaining]
        figures = kept.figures.copy()
        figures[::2] = remaining
    if kept.positions is not None:
        remaining = [remaining[at] for at in kept.positions]
    least, tightest = min(remaining), 0
    for tightest in kept.order:
        if remaining[tightest] == least:
            break
    form = kept.forms.get(tightest)
    if form is None:
        form = kept.forms[tightest] = kept.form(tightest, legacy=legacy)
    if legacy:
        remaining.append(least)
    return form % tuple(remaining), figures
