"""The one way into a session, for every kind of sign-in: password, link, second factor, account elsewhere.

Whoever comes here has proven that they are the user. The browser gets a new session under a new id, whatever it had
before (case A1), and the mark of a browser that signed in before (case A6).
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from domain.identity.devices import device_of, with_device
from domain.identity.factors import has_factor
from domain.identity.sessions import begin_session, end_session
from domain.identity.sign_ins import SignIn, note_sign_in
from portal.web.cookies import DEVICE, SESSION, read_cookie, set_cookie
from portal.web.visit import Visit

START = "/organizations"
FACTOR = "/sign-in/factor"
FACTOR_MINUTES = 15
"""How long somebody whose password was right may look for their authenticator."""
_LONGEST_PATH = 2_000
_DAY = 86_400


@dataclass(frozen=True, slots=True, repr=False)
class BegunSession:
    """A session that has begun and the cookies that it needs; `token` is the session cookie's text."""

    token: str
    awaits_factor: bool
    device: str

    def give(self, visit: Visit, response: Response) -> None:
        """Set the cookies. The device's only once the sign-in is complete."""
        portal = visit.settings.portal
        seconds = FACTOR_MINUTES * 60 if self.awaits_factor else portal.session_days * _DAY
        set_cookie(response, portal, SESSION, self.token, seconds=seconds)
        if self.device:
            set_cookie(response, portal, DEVICE, self.device)


async def complete_sign_in(
    visit: Visit, user_id: int, *, next_path: str, how: str, factor_shown: bool = False
) -> Response:
    """Sign the user in and go to `next_path` if it is ours; first to the second factor, if one is in force.

    `how` is a word for the audit, such as password. After a right code call it again with `factor_shown`: the session
    that waited for it ends and the real one begins. Raises NotSignedIn for a user who is not active.
    """
    begun = await begin(visit, user_id, how=how, factor_shown=factor_shown)
    target = safe_next(next_path)
    if begun.awaits_factor:
        target = f"{FACTOR}?next={quote(target, safe='/')}"
    response = RedirectResponse(target, status_code=303)
    begun.give(visit, response)
    return response


async def begin(visit: Visit, user_id: int, *, how: str, factor_shown: bool = False) -> BegunSession:
    """End the browser's session and begin the user's, noted in the audit. Raises NotSignedIn."""
    connection, settings = visit.connection, visit.settings
    waits = not factor_shown and await has_factor(connection, user_id)
    if visit.session_token:
        await end_session(connection, visit.session_token)
    cookie = read_cookie(visit.request, settings.portal, DEVICE)
    if not waits:
        known = device_of(settings.secrets, cookie, user_id) is not None
        sign_in = SignIn(user_id, how, visit.address, visit.user_agent, visit.request_id, known_device=known)
        await note_sign_in(connection, settings.secrets, sign_in)
    lasts = timedelta(minutes=FACTOR_MINUTES) if waits else timedelta(days=settings.portal.session_days)
    token = await begin_session(
        connection, user_id, lasts=lasts, address=visit.address, user_agent=visit.user_agent, awaits_factor=waits
    )
    return BegunSession(token.text, waits, "" if waits else with_device(settings.secrets, cookie, user_id))


def safe_next(path: object) -> str:
    """`path` if it is a path of ours, else the start: never another site (case A10), never the door again."""
    text = path if isinstance(path, str) else ""
    ours = text.startswith("/") and not text.startswith(("//", "/sign-", "/api/")) and len(text) <= _LONGEST_PATH
    clean = all("!" <= character <= "~" and character != "\\" for character in text)
    return text if ours and clean else START
