"""Who calls the API: a browser by its session, with a token against forgery, or a program by a personal access token."""

from domain.access import access_organization, organizations_of
from domain.faults import InvalidValue, NotFound, NotSignedIn
from domain.identity.access_tokens import TOKEN_PREFIX, find_access_token
from portal.web.admission import recognise
from portal.web.forgery import HEADER, SAFE_METHODS, require_form_token, require_same_site
from portal.web.visit import Visit

ORGANIZATION = "pe-organization"
"""The header that names the organization by its slug. Needed by who has several and shows a session."""


async def recognise_caller(visit: Visit, *, member: bool) -> None:
    """Find who calls. Raises NotSignedIn for a token that is none, Forbidden for a forged request, NotFound, InvalidValue."""
    authorization = visit.request.headers.get("authorization")
    if authorization is not None:
        await _by_token(visit, authorization)
        return
    await recognise(visit)
    if visit.request.method not in SAFE_METHODS:
        require_same_site(visit.request, visit.settings.portal)
        require_form_token(visit.settings.secrets, visit.tied_to, visit.request.headers.get(HEADER, ""))
    if member and visit.session is not None:
        await _choose(visit)


async def _by_token(visit: Visit, authorization: str) -> None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(TOKEN_PREFIX):
        raise NotSignedIn("Send a personal access token as: Authorization: Bearer pe_pat_...")
    found = await find_access_token(visit.connection, token.strip())
    if found is None:
        raise NotSignedIn("This access token is unknown, expired or revoked.")
    visit.session, visit.token_name = found.session, found.name
    visit.here = await access_organization(
        visit.connection, found.session.user_id, found.organization_id, read_only=found.read_only
    )
    visit.accesses = (visit.here,)
    named = visit.request.headers.get(ORGANIZATION, visit.here.slug)
    if named != visit.here.slug:
        raise NotFound(f"This access token is for the organization {visit.here.slug}, and sees no other.")


async def _choose(visit: Visit) -> None:
    named = visit.request.headers.get(ORGANIZATION)
    if visit.person.acting is not None:
        visit.here = next((access for access in visit.accesses if named in (None, access.slug)), None)
        if visit.here is None:
            raise NotFound("There is no such organization.")
        return
    if named is not None:
        visit.here = await access_organization(visit.connection, visit.person.user_id, named)
        return
    accesses = visit.accesses or tuple(await organizations_of(visit.connection, visit.person.user_id))
    if len(accesses) != 1:
        raise InvalidValue("You are in several organizations, or in none: name one in the header PE-Organization.")
    visit.here = accesses[0]
