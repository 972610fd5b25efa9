"""What a person does with their own identity: only by a session, never by a token that acts for them, and freshly proven."""

from urllib.parse import quote

from starlette.responses import Response

from domain.faults import Forbidden
from domain.identity.proof import is_fresh, require_fresh
from domain.identity.sessions import Session
from portal.web.cookies import SESSION, set_cookie
from portal.web.page import see_other
from portal.web.visit import Visit

_DAY = 86_400


def own_session(visit: Visit) -> Session:
    """Whose identity it is. Raises Forbidden for an access token, NotSignedIn."""
    no_token(visit)
    return visit.person


def no_token(visit: Visit) -> None:
    """Raise Forbidden for a program that shows an access token, and for who acts as a customer."""
    if visit.session is not None and visit.session.acting:
        raise Forbidden("Who acts as a customer may not see or change a person's account. Stop acting first.")
    if visit.token_name:
        raise Forbidden("An access token may not see or change a person's account. Sign in for this.")


def proven_session(visit: Visit) -> Session:
    """The same with a fresh proof. Raises ProofNeeded too."""
    session = own_session(visit)
    require_fresh(session, visit.settings.portal)
    return session


def fresh(visit: Visit) -> bool:
    """Whether grave changes are possible without proving again."""
    return is_fresh(visit.person, visit.settings.portal)


def to_proof(back: str) -> Response:
    """Prove first, then come back."""
    return see_other(f"/prove?next={quote(back, safe='/')}")


def give_session(visit: Visit, response: Response, token: str) -> None:
    """The browser's session under a new token."""
    set_cookie(response, visit.settings.portal, SESSION, token, seconds=visit.settings.portal.session_days * _DAY)
