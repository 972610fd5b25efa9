"""What stands for the second factor: a code of the authenticator, or else a recovery code. Either is used up by being shown."""

from typing import Any

from domain import audit
from domain.identity.authenticators import take_code
from domain.identity.recovery_codes import use_code
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings

TOTP, RECOVERY = "totp", "recovery_code"


async def use_factor_code(
    connection: Any, settings: SecretSettings, user_id: int, actor: audit.Actor, code: str
) -> str | None:
    """What the code is, TOTP or RECOVERY; None if it is neither. A mail to the actor, who is the user, tells of RECOVERY."""
    if await take_code(connection, settings, user_id, code):
        return TOTP
    left = await use_code(connection, user_id, code)
    if left is None:
        return None
    thing = audit.Thing("user", str(user_id), actor.name)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_USE_RECOVERY_CODE, thing, after={"left": left})
    values = {"email": actor.name, "left": str(left), "address": actor.address}
    await post_mail(connection, settings, template="recovery_code_used", to=actor.name, values=values)
    return RECOVERY
