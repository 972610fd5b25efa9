"""The code that completes a sign-in, for the page and the API."""

from domain import audit
from domain.identity.second_step import Waiting, check_second_step
from portal.web.cookies import DEVICE, read_cookie
from portal.web.visit import Visit


async def take(visit: Visit, waiting: Waiting, code: str) -> str:
    """What the code was. Raises as check_second_step."""
    return await check_second_step(
        visit.connection,
        visit.services.throttle,
        visit.settings.secrets,
        waiting,
        code,
        device_cookie=read_cookie(visit.request, visit.settings.portal, DEVICE),
        actor=visit.actor,
    )


async def note_wrong(visit: Visit, waiting: Waiting) -> None:
    """Write down a wrong code: whoever shows it knows the password. Outside of what the wrong code undoes."""
    actor = audit.Actor("user", None, "", visit.address, visit.request_id)
    thing = audit.Thing("user", str(waiting.user_id), waiting.email)
    await audit.record(visit.connection, actor, audit.Verb.ACCOUNT_SIGN_IN_FAILED, thing, after={"how": "factor"})
