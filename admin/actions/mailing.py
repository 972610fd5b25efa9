"""The action that sends a test mail to whoever asks."""

from admin.actions.action import Action, Outcome, Preview, Values
from admin.web.visit import Visit
from domain.operating.mail_check import send_test_mail
from domain.operators import Right


class Nothing(Values):
    """No fields: it goes to oneself."""


async def _preview(visit: Visit, _: Nothing) -> Preview:
    server = "by the mail server" if visit.settings.mail.smtp_url.get_secret_value() else "into the folder for mails"
    return Preview(
        (
            f"A test mail goes to {visit.operator.email}, through the outbox and {server}, as every mail does.",
            "The next page leads to what came of it.",
        ),
    )


async def _send(visit: Visit, _: Nothing, reason: str) -> Outcome:
    message_id = await send_test_mail(visit.connection, visit.settings, visit.actor, reason=reason)
    return Outcome("The mail is in the outbox.", (("See what came of it", f"/mails/{message_id}"),))


ACTIONS = (
    Action(
        slug="send-test-mail",
        title="Send a test mail",
        group="Running it",
        right=Right.RUN,
        summary="A mail to yourself, on the way that every mail takes; then what came of it.",
        model=Nothing,
        fields=(),
        preview=_preview,
        carry_out=_send,
        button="Send",
    ),
)
