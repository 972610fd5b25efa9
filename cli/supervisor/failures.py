"""The one way in which the supervisor gives up: what happened, and what helps."""


class SupervisorError(Exception):
    """Something that a person must decide. `advice` is a sentence that says what to do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"


class StopRequested(Exception):  # noqa: N818  not an error
    """Ctrl-C or SIGTERM arrived while something was being waited for."""
