"""The plain oracle of the lifecycle: one subscription, a day at a time, with everything done on the day that it is due."""

from datetime import UTC, datetime, timedelta

LIVE = {"trialing", "active", "past_due"}


class Refused(Exception):  # noqa: N818  an answer
    """The command may not be given now."""


class Oracle:
    """Plans are numbers: 0 costs nothing, 1 and 2 do; all have 3 days of grace and 14 of trial. Moments are days."""

    def __init__(self, begin: datetime) -> None:
        self.begin, self.day = begin, 0
        self.had_trial = False
        self.subscribe(0)

    # -- time

    def date(self, day: int) -> datetime:
        return self.begin + timedelta(days=day)

    def month_later(self, anchor: int, day: int) -> int:
        """The first day after `day` on which a month counted from the anchor begins."""
        wanted = self.date(anchor).day
        while True:
            day += 1
            today, tomorrow = self.date(day), self.date(day + 1)
            if today.day == wanted or (tomorrow.day == 1 and today.day < wanted):
                return day

    def wait(self, days: int) -> None:
        for _ in range(days):
            self.day += 1
            while self.state in LIVE and self.is_due():
                pass

    def is_due(self) -> bool:
        if self.cancel_day == self.day:
            self.state = "cancelled"
        elif self.state == "past_due" and self.grace_day == self.day:
            self.state = "expired"
        elif self.state == "trialing" and self.trial_day == self.day:
            if self.next_plan is None and self.plan != 0:
                self.state = "expired"
            else:
                self.start_paid()
        elif self.state == "active" and self.end == self.day:
            self.plan = self.plan if self.next_plan is None else self.next_plan
            self.next_plan = None
            self.start, self.end = self.day, self.month_later(self.anchor, self.day)
        else:
            return False
        return True

    def start_paid(self) -> None:
        self.plan = self.plan if self.next_plan is None else self.next_plan
        self.next_plan, self.state, self.anchor = None, "active", self.day
        self.start, self.end = self.day, self.month_later(self.day, self.day)

    # -- commands

    def subscribe(self, plan: int) -> None:
        self.plan, self.state, self.anchor, self.start = plan, "active", self.day, self.day
        self.end = self.month_later(self.day, self.day)
        self.next_plan = self.cancel_day = self.grace_day = self.trial_day = None

    def change_at_once(self, plan: int) -> None:
        self.must_live()
        if self.state == "trialing":
            self.next_plan = plan
            self.start_paid()
        self.plan, self.next_plan = plan, None

    def change_later(self, plan: int) -> None:
        self.must_live()
        self.next_plan = None if plan == self.plan and self.state != "trialing" else plan

    def cancel(self) -> None:
        if self.state in LIVE:
            end = self.trial_day if self.state == "trialing" else self.end
            if end > self.day:
                self.cancel_day = end
            else:
                self.state = "cancelled"

    def cancel_now(self) -> None:
        if self.state in LIVE:
            self.state = "cancelled"

    def reactivate(self) -> None:
        if self.state not in LIVE:
            self.subscribe(self.plan)
            return
        self.cancel_day = None
        if self.state == "past_due":
            self.state, self.grace_day = "active", None
            while self.end <= self.day:
                self.plan = self.plan if self.next_plan is None else self.next_plan
                self.next_plan = None
                self.start, self.end = self.end, self.month_later(self.anchor, self.end)

    def unpaid(self) -> None:
        if self.state == "past_due":
            return
        if self.state != "active":
            raise Refused
        self.state, self.grace_day = "past_due", self.day + 3

    def trial(self, plan: int) -> None:
        live = self.state in LIVE
        if self.had_trial or (live and (self.state != "active" or self.plan != 0 or plan == 0)):
            raise Refused
        came_from = self.plan if live else None
        cancel_day = self.cancel_day if live else None
        self.subscribe(plan)
        self.had_trial, self.state, self.next_plan, self.cancel_day = True, "trialing", came_from, cancel_day
        self.trial_day = self.end = self.day + 14

    def extend(self, days: int) -> None:
        if self.state != "trialing":
            raise Refused
        if self.cancel_day == self.trial_day:
            self.cancel_day += days
        self.trial_day += days
        self.end = self.trial_day

    def must_live(self) -> None:
        if self.state not in LIVE:
            raise Refused

    def seen(self) -> tuple[object, ...]:
        """What is compared; of what has ended only how."""
        if self.state not in LIVE:
            return (self.state,)
        cancel = None if self.cancel_day is None else self.date(self.cancel_day)
        return self.state, self.plan, self.next_plan, self.date(self.start), self.date(self.end), cancel


MIDNIGHT = datetime(2027, 1, 31, tzinfo=UTC)
