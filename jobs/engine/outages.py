"""Says once that something is away, and once that it is back."""

import logging

from domain.job_runs import error_text

log = logging.getLogger("paid_endpoint.jobs")


class Outage:
    """Of one server, by its name."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.away = False

    def met(self, fault: BaseException) -> None:
        """It did not answer."""
        if not self.away:
            log.warning("%s is away, jobs wait for it: %s", self.server, error_text(fault))
        self.away = True

    def over(self) -> bool:
        """It answered; whether it was away before."""
        was, self.away = self.away, False
        if was:
            log.info("%s is back", self.server)
        return was
