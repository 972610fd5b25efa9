"""The RateLimit fields as lines of a head, for the many answers in which only the remaining counts are new.

The text is that of `gateway.ratelimit_headers`. Seconds to a reset are looked at every `KEPT_SECONDS`, so they may say a
second more than they would at this instant, never less but for the moment in which a window turns.
"""

from time import monotonic

from domain.quotas.bucket import Bucket
from gateway.ratelimit_headers import Memo, Template, render, template_of

KEPT_SECONDS = 0.05


class _Lines:
    """One bucket's. `figures` are as of the last look; `order` are its limits, the last to reset first."""

    __slots__ = ("figures", "forms", "order", "until")

    def __init__(self) -> None:
        self.figures: list[int] = []
        self.order: list[int] = []
        self.forms: dict[int, bytes] = {}
        self.until = 0.0

    def look(self, bucket: Bucket, now: float) -> None:
        """See when the windows reset."""
        self.until = now + KEPT_SECONDS
        figures = list(bucket.numbers())
        if figures[1::2] != self.figures[1::2]:
            self.order = sorted(range(len(figures) // 2), key=lambda at: -figures[2 * at + 1])
            self.forms = {}
        self.figures = figures

    def form(self, template: Template, tightest: int, *, legacy: bool) -> bytes:
        """The text with a place for each remaining count, and with `legacy` for that of the tightest window."""
        seconds = self.figures[1::2]
        state = template.form.decode() % tuple(number for second in seconds for number in (_PLACE, second))
        text = f"ratelimit-policy: {template.policy[1].decode()}\r\nratelimit: {state}\r\n".replace("%", "%%")
        text = text.replace(str(_PLACE), "%d")
        if legacy:
            text += f"x-ratelimit-limit: {template.amounts[tightest]}\r\nx-ratelimit-remaining: %d\r\n"
            text += f"x-ratelimit-reset: {seconds[tightest]}\r\n"
        return text.encode()


_PLACE = -(2**63)
"""No count is negative."""


def lines(bucket: Bucket, *, legacy: bool) -> tuple[bytes, "list[int] | tuple[int, ...]"]:
    """The lines, and the figures that they were made of, as `bucket.numbers` says them."""
    memo: Memo | None = bucket.memo
    if memo is None or memo.lines is None:
        template = template_of(bucket)
        memo = bucket.memo
        assert memo is not None
        memo.lines = _Lines() if template.all_shown and template.positions else False
    kept = memo.lines
    if kept is False:
        return b"".join([b"%b: %b\r\n" % field for field in render(bucket, legacy=legacy)]), ()
    now = monotonic()
    if now >= kept.until:
        kept.look(bucket, now)
    remaining = [allowance.amount - allowance.used + allowance.left for allowance in bucket.allowances]
    least = min(remaining)
    if least < 0:
        remaining = [max(0, count) for count in remaining]
        least = 0
    tightest = 0
    for tightest in kept.order:
        if remaining[tightest] == least:
            break
    form = kept.forms.get(tightest)
    if form is None:
        form = kept.forms[tightest] = kept.form(memo.template, tightest, legacy=legacy)
    figures = kept.figures.copy()
    figures[::2] = remaining
    return form % ((*remaining, least) if legacy else tuple(remaining)), figures
