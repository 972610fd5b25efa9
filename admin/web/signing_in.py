"""The one way into an operator's session: a right password, then a right code where a second factor is in force.

Passwords and codes are counted as the portal's are (`domain.identity.throttle`): a guesser is slowed down, in Redis and for
a finite time, and an operator whose browser signed in before is never locked out by strangers.
"""

from datetime import timedelta
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from admin.web.cookies import DEVICE, SESSION
from admin.web.visit import Visit
from domain import audit
from domain.databases import Pool
from domain.identity.devices import device_of, with_device
from domain.identity.factors import has_factor
from domain.identity.operator_sessions import role_of
from domain.identity.passwords_shown import Shown, WrongCredentials, check_shown
from domain.identity.second_step import Waiting, check_second_step
from domain.identity.sessions import ADMIN, begin_session, end_session
from domain.identity.sign_ins import SignIn, note_sign_in
from portal.web.cookies import read_cookie, set_cookie

START, FACTOR = "/", "/sign-in/factor"
FACTOR_MINUTES = 15
_LONGEST_PATH = 2_000


async def check_password(visit: Visit, email: str, password: str) -> int:
    """The operator whose address and password these are. Raises WrongCredentials, the same for customers; TooManyTries."""
    services = visit.services
    cookie = read_cookie(visit.request, visit.settings.admin, DEVICE)
    shown = Shown(email, password, cookie, visit.address, visit.request_id)
    user_id = await check_shown(services.database, services.throttle, visit.settings, shown)
    pool: Pool = services.database
    async with pool.acquire() as connection:
        if await role_of(connection, user_id) is None:
            raise WrongCredentials
    return user_id


async def complete(visit: Visit, user_id: int, *, next_path: str, how: str, factor_shown: bool = False) -> Response:
    """Begin the operator's session and go to `next_path` if it is ours; first to the second step, if one is in force."""
    connection, settings = visit.connection, visit.settings
    waits = not factor_shown and await has_factor(connection, user_id)
    if visit.session_token:
        await end_session(connection, visit.session_token)
    cookie = read_cookie(visit.request, settings.admin, DEVICE)
    if not waits:
        known = device_of(settings.secrets, cookie, user_id) is not None
        sign_in = SignIn(user_id, f"back office, {how}", visit.address, visit.user_agent, visit.request_id, known)
        await note_sign_in(connection, settings.secrets, sign_in)
    lasts = timedelta(minutes=FACTOR_MINUTES) if waits else timedelta(hours=settings.admin.session_hours)
    token = await begin_session(
        connection,
        user_id,
        lasts=lasts,
        address=visit.address,
        user_agent=visit.user_agent,
        awaits_factor=waits,
        face=ADMIN,
    )
    target = safe_next(next_path)
    response = RedirectResponse(f"{FACTOR}?next={quote(target, safe='/')}" if waits else target, status_code=303)
    set_cookie(response, settings.admin, SESSION, token.text, seconds=int(lasts.total_seconds()))
    if not waits:
        set_cookie(response, settings.admin, DEVICE, with_device(settings.secrets, cookie, user_id))
    return response


async def take_code(visit: Visit, waiting: Waiting, code: str) -> str:
    """What the code was. Raises as check_second_step."""
    return await check_second_step(
        visit.connection,
        visit.services.throttle,
        visit.settings.secrets,
        waiting,
        code,
        device_cookie=read_cookie(visit.request, visit.settings.admin, DEVICE),
        actor=visit.actor,
    )


async def note_wrong_code(visit: Visit, waiting: Waiting) -> None:
    """Write down a wrong code: whoever shows it knows the password."""
    thing = audit.Thing("user", str(waiting.user_id), waiting.email)
    how = {"how": "back office, code"}
    await audit.record(visit.connection, visit.actor, audit.Verb.ACCOUNT_SIGN_IN_FAILED, thing, after=how)


def safe_next(path: object) -> str:
    """`path` if it is a path of ours, else the start: never another site (case A10), never the door again."""
    text = path if isinstance(path, str) else ""
    ours = text.startswith("/") and not text.startswith(("//", "/sign-")) and len(text) <= _LONGEST_PATH
    clean = all("!" <= character <= "~" and character != "\\" for character in text)
    return text if ours and clean else START
