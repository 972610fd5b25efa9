"""What tests of people's own accounts share: access tokens, stale proofs."""

from datetime import timedelta

from domain.identity.access_tokens import TOKEN_PREFIX
from domain.random_tokens import new_token
from tests.portals import Person, Portal


async def bearer(portal: Portal, person: Person, *, read_only: bool = False) -> dict[str, str]:
    """The header of a new access token of the person."""
    token = new_token(TOKEN_PREFIX)
    await portal.pool.execute(
        "insert into access_token (user_id, organization_id, name, token_digest, last4, read_only)"
        " values ($1, $2, 'test', $3, $4, $5)",
        person.user_id,
        person.organization.id,
        token.digest,
        token.text[-4:],
        read_only,
    )
    return {"authorization": f"Bearer {token.text}"}


async def age_proof(portal: Portal, person: Person, by: timedelta = timedelta(hours=1)) -> None:
    """Let the person's last proof be that old."""
    await portal.pool.execute(
        "update portal_session set proven_at = proven_at - $2::interval where user_id = $1", person.user_id, by
    )
